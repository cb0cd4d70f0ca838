"""Traces of OpenTelemetry: a small collector of OTLP over HTTP, the tree of a trace, its waterfall.

The collector runs in the kernel, in threads that end with it. It keeps spans in memory.
"""

import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING

from nexus.services.listener import Handler, Listener
from nexus.services.process import wait_for

if TYPE_CHECKING:
    from nexus.draw import Picture

PATIENCE = 60.0
"""Seconds that spans have to arrive. A deadline for a machine in trouble, not an expectation."""

COLOURS = ("#2b6cb0", "#9a3412", "#475569", "#2f855a")
"""Of the services in a waterfall, in the order in which they come up."""


@dataclass(frozen=True)
class Span:
    """One piece of work: who did it, what it was, and between which two moments.

    Attributes:
        trace: the id that all spans of one trace share.
        id: its own id.
        parent: the id of the span that it is a part of; empty for a root.
        service: the program that did it.
        name: what it was.
        start: when it began, in nanoseconds.
        end: when it ended.
        attributes: what else is known, as text by name.
    """

    trace: str
    id: str
    parent: str
    service: str
    name: str
    start: int
    end: int
    attributes: dict[str, str] = field(default_factory=dict, repr=False)


class Collector:
    """Takes spans over OTLP/HTTP, as a program sends them to OTEL_EXPORTER_OTLP_ENDPOINT.

    Attributes:
        url: where it listens; give it to programs as OTEL_EXPORTER_OTLP_ENDPOINT.
        spans: what has arrived, in the order of arrival.
    """

    def __init__(self) -> None:
        self.spans: list[Span] = []
        spans = self.spans

        class Spans(Handler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                spans.extend(read(body))
                self.reply(kind="application/x-protobuf")  # an empty answer is a whole one there

        self._listener = Listener(Spans)
        self.url = self._listener.url

    def traces(self) -> list[list[Span]]:
        """The traces, each with its spans, in the order in which they began."""
        spans = sorted(self.spans, key=lambda span: span.start)
        known = dict.fromkeys(span.trace for span in spans)
        return [[span for span in spans if span.trace == trace] for trace in known]

    def wait(self, condition: Callable[[list[Span]], object], what: str = "spans") -> None:
        """Waits until a condition holds for the spans.

        Args:
            condition: gets the list of spans.
            what: what is waited for, for the message.

        Raises:
            TimeoutError: if it does not hold in time; with the names of what has arrived.
        """
        try:
            wait_for(lambda: condition(list(self.spans)), PATIENCE, what)
        except TimeoutError as error:
            there = ", ".join(dict.fromkeys(f"{span.service}: {span.name}" for span in self.spans))
            raise TimeoutError(f"{error}; there are {there or 'none'}") from None

    def clear(self) -> None:
        """Forgets all spans."""
        self.spans.clear()

    def close(self) -> None:
        """Stops listening."""
        self._listener.close()


def read(body: bytes) -> Iterator[Span]:
    """The spans of an ExportTraceServiceRequest in protobuf."""
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

    for resource in trace_service_pb2.ExportTraceServiceRequest.FromString(body).resource_spans:
        about = {each.key: each.value.string_value for each in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    service=about.get("service.name", "unknown"),
                    name=span.name,
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    attributes={
                        each.key: each.value.string_value or str(each.value.int_value)
                        for each in span.attributes
                    },
                )


def roots(spans: Sequence[Span]) -> list[Span]:
    """The spans whose parent is not among the spans, in the order in which they began."""
    known = {span.id for span in spans}
    return sorted((s for s in spans if s.parent not in known), key=lambda span: span.start)


def tree(spans: Sequence[Span]) -> str:
    """The tree of a trace as text: children below their parent, equal neighbours counted.

    Args:
        spans: those of one trace.

    Returns:
        A line for each span, or for several equal ones side by side: facts that no run changes.
    """

    def lines(level: Sequence[Span], depth: int) -> Iterator[str]:
        shown = [
            (f"{span.service}: {span.name}", list(lines(children(span), depth + 1)))
            for span in level
        ]
        for (label, below), same in groupby(shown):
            often = len(list(same))
            yield "  " * depth + (f"{often} \N{MULTIPLICATION SIGN} " if often > 1 else "") + label
            yield from below

    def children(parent: Span) -> list[Span]:
        return sorted((s for s in spans if s.parent == parent.id), key=lambda span: span.start)

    return "\n".join(lines(roots(spans), 0))


def waterfall(traces: Sequence[Sequence[Span]], titles: Sequence[str], *, alt: str) -> "Picture":
    """Draws traces one above the other: a bar for each span, on one axis of time.

    Args:
        traces: each with its spans.
        titles: what each trace is.
        alt: what the picture shows, without figures, which differ in every run.

    Returns:
        A picture that a notebook shows as PNG, because tests do not compare those.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    from nexus import draw

    services = dict.fromkeys(span.service for trace in traces for span in trace)
    colour = dict(zip(services, COLOURS * len(services), strict=False))
    rows = [len(trace) for trace in traces]
    heights = [0.5 + (0.2 if count < 20 else 0.03) * count for count in rows]
    longest = max(max(span.end for span in trace) - _begin(trace) for trace in traces)
    with mpl.rc_context(draw.STYLE):
        figure = Figure(figsize=(draw.WIDTH, sum(heights) + 0.7), layout="constrained")
        axes = figure.subplots(len(traces), 1, height_ratios=heights, squeeze=False)[:, 0]
        for number, (ax, trace, title) in enumerate(zip(axes, traces, titles, strict=True)):
            begin = _begin(trace)
            for row, span in enumerate(_in_order(trace)):
                width = max((span.end - span.start) / 1e6, longest / 1e6 / 400)  # still to be seen
                left = (span.start - begin) / 1e6
                ax.barh(row, width, left=left, height=0.8, color=colour[span.service])
                if len(trace) < 20:
                    ax.text(left + width, row, f" {span.name[:40]}", va="center", fontsize=8)
            ax.set_title(title, loc="left", fontsize=11, fontweight="bold")
            ax.set_xlim(0, longest / 1e6 * 1.05)
            ax.invert_yaxis()
            ax.set_yticks([])
            ax.spines[["top", "right", "left"]].set_visible(False)
            if number < len(traces) - 1:
                ax.set_xticklabels([])
        axes[-1].set_xlabel("milliseconds since the trace began", loc="left", color=draw.MUTED)
        if len(services) > 1:
            axes[0].legend(
                handles=[Patch(color=colour[name], label=name) for name in services],
                loc="upper right",
                frameon=False,
                fontsize=9,
            )
        svg, png = io.StringIO(), io.BytesIO()
        figure.savefig(svg, format="svg", metadata=dict.fromkeys(draw.SVG_METADATA))
        figure.savefig(png, format="png", dpi=2 * draw.PIXELS, metadata={"Software": None})
    return replace(draw._picture(svg.getvalue(), alt), png=png.getvalue())


def _begin(trace: Sequence[Span]) -> int:
    return min(span.start for span in trace)


def _in_order(trace: Sequence[Span]) -> Iterator[Span]:
    """Parents before their children, and children as they began."""

    def below(span: Span) -> Iterator[Span]:
        yield span
        mine = (each for each in trace if each.parent == span.id)
        for child in sorted(mine, key=lambda each: each.start):
            yield from below(child)

    for root in roots(trace):
        yield from below(root)
