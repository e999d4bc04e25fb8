"""How people log in: any authenticator of JupyterHub. Its groups are those of the facility file, as ``site:<group>``."""

c = get_config()  # noqa: F821  # JupyterHub puts it there
c.JupyterHub.authenticator_class = "generic-oauth"
c.GenericOAuthenticator.client_id = "af-hub"
c.GenericOAuthenticator.oauth_callback_url = "https://af.example.org/hub/oauth_callback"
c.GenericOAuthenticator.authorize_url = "https://login.example.org/authorize"
c.GenericOAuthenticator.token_url = "https://login.example.org/token"  # noqa: S105  # an address
c.GenericOAuthenticator.userdata_url = "https://login.example.org/userinfo"
c.GenericOAuthenticator.scope = ["openid", "profile", "groups"]
c.GenericOAuthenticator.username_claim = "preferred_username"
c.GenericOAuthenticator.manage_groups = True
c.GenericOAuthenticator.auth_state_groups_key = "oauth_user.groups"
c.GenericOAuthenticator.allow_all = True
