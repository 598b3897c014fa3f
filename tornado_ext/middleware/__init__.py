"""Middleware for Tornado handlers: a chain of hooks around each request."""

from tornado_ext.middleware.access_log import AccessLog as AccessLog
from tornado_ext.middleware.handlers import NotFoundHandler as NotFoundHandler
from tornado_ext.middleware.handlers import StaticHandler as StaticHandler
from tornado_ext.middleware.mixin import Middleware as Middleware
from tornado_ext.middleware.mixin import MiddlewareMixin as MiddlewareMixin
from tornado_ext.middleware.rate_limit import RateLimit as RateLimit
from tornado_ext.middleware.rate_limit import RateLimited as RateLimited
from tornado_ext.middleware.request_id import RequestId as RequestId
from tornado_ext.middleware.request_id import RequestIdFilter as RequestIdFilter
from tornado_ext.middleware.request_id import request_id as request_id
from tornado_ext.middleware.security_headers import SecurityHeaders as SecurityHeaders
from tornado_ext.middleware.security_headers import csp_nonce as csp_nonce
