"use strict";
const $ = (id) => document.getElementById(id);

async function send() {
  const headers = { "Content-Type": "application/json" };
  if ($("token").value) headers.Authorization = `Token ${$("token").value}`;
  const began = performance.now();
  try {
    const variables = JSON.parse($("variables").value || "{}");
    const body = JSON.stringify({ query: $("query").value, variables });
    const response = await fetch("/graphql", { method: "POST", headers, body });
    $("answer").textContent = JSON.stringify(await response.json(), null, 2);
    $("status").textContent = `${response.status}, ${Math.round(performance.now() - began)} ms`;
  } catch (error) {
    $("status").textContent = String(error);
  }
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
$("form").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
});
