"""A small model of Kubernetes, for chapters and judges: what it is not, it says.

The store (for etcd), the API server, two controllers, a node (for the kubelet), Services and
an Ingress are
real code of the same shape as Kubernetes' own, and about a thousandth of its size. Pods are real
processes with real probes; an nginx stands for a Service; the client is the real kubectl.

A scheduler looks at requests only, and its two nodes are names: every Pod is a process of this
machine, and an "image" is a Python module. Memory limits are kept by a look at each process, and
CPU limits not at all. There is no container, no network of Pods and no DNS (everything is on
loopback), no admission, no schema, no users and no rights. Only the first container of a Pod runs,
and a probe asks the port where that one listens, whatever port the probe names.
Time runs twelve times as fast as a manifest says.
"""

from nexus.cluster.running import Cluster
from nexus.cluster.store import ApiError, ConflictError, NotFoundError, Store

__all__ = ["ApiError", "Cluster", "ConflictError", "NotFoundError", "Store"]
