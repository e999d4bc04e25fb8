"""The pages that people see: the form in which a server is chosen, and the hub's own pages in the same dress.

The form is made on the server and needs no JavaScript; one small script makes it better where there is one. Nothing is
loaded from outside the hub. `render` makes the form from an `Offer`, `parse` reads what comes back; both are pure.
"""

from afkit.hub.form.pages import routes, template_path, template_vars
from afkit.hub.form.parse import parse
from afkit.hub.form.render import render

__all__ = ["parse", "render", "routes", "template_path", "template_vars"]
