"""Let a kernel say that it speaks Python, but not which release.

JupyterLab writes what the kernel says into an open notebook. With the release in it, a chapter
that was stored with Python 3.11 would be modified as soon as somebody opens it with 3.12.
"""

from ipykernel.ipkernel import IPythonKernel


class Kernel(IPythonKernel):
    """IPython's kernel, the same in every Python."""

    language_info = {k: v for k, v in IPythonKernel.language_info.items() if k != "version"}  # noqa: RUF012


get_config().IPKernelApp.kernel_class = Kernel  # noqa: F821 (IPython gives it to this file)
