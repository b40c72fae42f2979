"""The launcher's page: the ring, the faults, the plot, the keys, in a browser on this machine.

`web_page` is what the main loop has of it, `address` its port and token. `server` answers the
browser, in a thread of its own; `guard` decides who is answered, `http` reads and writes, `routes`
says which path means what, `calls` hands commands to the main loop, and `streams` sends what
happens. `tape` keeps it, `items` writes it as JSON. `keys` reads and writes keys for the browser,
`following` watches them. `page/` is the page itself, without a build step.
"""

from cluster.launcher.web.web_page import Launcher, WebPage

__all__ = ["Launcher", "WebPage"]
