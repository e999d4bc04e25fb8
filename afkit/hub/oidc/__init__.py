"""Login through OpenID providers: one authenticator, a child for each issuer of the facility file.

::

    /oauth_login/NAME ──state, nonce, PKCE in a cookie──▶ provider ──code──▶ /oauth_callback/NAME
        tokens ──afkit.oidc──▶ claims ──afkit.policy.claims──▶ who it is ──afkit.hub.logins──▶ login name, groups
"""
