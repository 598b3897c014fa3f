"""Headers that tell browsers what a page may not do, after the OWASP Secure Headers Project."""

import re
import secrets
from dataclasses import dataclass, fields

from tornado.web import RequestHandler

from tornado_ext.errors import ConfigurationError
from tornado_ext.middleware.mixin import Middleware

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' {nonce}; style-src 'self' {nonce}; form-action 'self'; "
    "base-uri 'self'; object-src 'none'; frame-ancestors 'none'"
)

# Without web-share, which Chromium 156 knows on some systems and complains of on the others.
PERMISSIONS_POLICY = (
    "accelerometer=(), autoplay=(), camera=(), clipboard-read=(), clipboard-write=(), "
    "cross-origin-isolated=(), display-capture=(), encrypted-media=(), fullscreen=(), gamepad=(), "
    "geolocation=(), gyroscope=(), hid=(), idle-detection=(), interest-cohort=(), "
    "keyboard-map=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), "
    "publickey-credentials-get=(), screen-wake-lock=(), serial=(), sync-xhr=(self), unload=(), "
    "usb=(), xr-spatial-tracking=()"
)

_POLICY = r"([ -z|~]|\{nonce\})+"  # printable ASCII, and no other braces

_VALUES = {
    "content_security_policy": _POLICY,
    "content_security_policy_report_only": _POLICY,
    "strict_transport_security": r"max-age=[0-9]+(; includeSubDomains)?(; preload)?",
    "permissions_policy": _POLICY,
    "referrer_policy": r"no-referrer(-when-downgrade)?|same-origin|unsafe-url"
    r"|(strict-)?origin(-when-cross-origin)?",
    "x_frame_options": r"DENY|SAMEORIGIN",
    "x_content_type_options": r"nosniff",
    "x_dns_prefetch_control": r"on|off",
    "x_permitted_cross_domain_policies": r"none|master-only|by-content-type|all",
    "cross_origin_embedder_policy": r"require-corp|credentialless|unsafe-none",
    "cross_origin_opener_policy": r"same-origin|(same-origin|noopener)-allow-popups|unsafe-none",
    "cross_origin_resource_policy": r"same-origin|same-site|cross-origin",
}


@dataclass(kw_only=True, eq=False, repr=False)
class SecurityHeaders(Middleware):
    """Set the headers that the OWASP Secure Headers Project proposes (its list of July 2026).

    An option is the value of the header of that name; None leaves it to the handlers. In a policy,
    ``{nonce}`` stands for the nonce of the request, see `csp_nonce`. Strict-Transport-Security is
    for https alone (RFC 6797 section 7.2). Tornado's Server header, which tells its version, is
    not sent. A value that can't be right raises `ConfigurationError`.

    A handler may change or clear any of them after ``super().prepare()``. Error pages have the
    values given here.
    """

    content_security_policy: str | None = CONTENT_SECURITY_POLICY
    content_security_policy_report_only: str | None = None
    strict_transport_security: str | None = "max-age=63072000; includeSubDomains"
    permissions_policy: str | None = PERMISSIONS_POLICY
    # OWASP has no-referrer, with which browsers send forms with `Origin: null`: over http,
    # Tornado's cross_origin_protection refuses these.
    referrer_policy: str | None = "same-origin"
    x_frame_options: str | None = "DENY"
    x_content_type_options: str | None = "nosniff"
    x_dns_prefetch_control: str | None = "off"
    x_permitted_cross_domain_policies: str | None = "none"
    cross_origin_embedder_policy: str | None = "require-corp"
    cross_origin_opener_policy: str | None = "same-origin"
    cross_origin_resource_policy: str | None = "same-origin"

    def __post_init__(self) -> None:
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in given.items():
            if value is not None and not re.fullmatch(_VALUES[name], str(value)):
                raise ConfigurationError(f"SecurityHeaders({name}) can't be {value!r}")
        hsts = given.pop("strict_transport_security")
        self._headers = {
            name.replace("_", "-"): value for name, value in given.items() if value is not None
        }
        self._https = {"Strict-Transport-Security": hsts} if hsts is not None else {}

    def process_request(self, handler: RequestHandler) -> None:
        """Set the headers, which the handler may change."""
        self._set(handler)
        handler._ext_secured = True  # type: ignore[attr-defined]  # kept with the request

    def process_response(self, handler: RequestHandler) -> None:
        """Set them on an error page, which starts without, and where no request hook has run."""
        if handler.get_status() >= 300 or not hasattr(handler, "_ext_secured"):
            self._set(handler)

    def _set(self, handler: RequestHandler) -> None:
        https = handler.request.protocol == "https"
        nonce = f"'nonce-{csp_nonce(handler)}'"
        for name, value in (self._headers | self._https if https else self._headers).items():
            handler.set_header(name, value.replace("{nonce}", nonce))
        handler.clear_header("Server")


def csp_nonce(handler: RequestHandler) -> str:
    """Return the nonce of the request: 128 random bits, made at the first call.

    In templates, with ``Application(ui_methods={"csp_nonce": csp_nonce})``:
    ``<script nonce="{{ csp_nonce() }}">``.
    """
    nonce: str = getattr(handler, "_ext_csp_nonce", "") or secrets.token_urlsafe(16)
    handler._ext_csp_nonce = nonce  # type: ignore[attr-defined]  # kept with the request
    return nonce
