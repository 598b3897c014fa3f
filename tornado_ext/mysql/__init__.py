"""MySQL and MariaDB: a pool, safe parameters, transactions, errors by meaning, two drivers."""

from tornado_ext.mysql._row import Row as Row
from tornado_ext.mysql.connection import Connection as Connection
from tornado_ext.mysql.database import Database as Database
from tornado_ext.mysql.errors import AuthenticationFailed as AuthenticationFailed
from tornado_ext.mysql.errors import CommitUnknown as CommitUnknown
from tornado_ext.mysql.errors import ConnectFailed as ConnectFailed
from tornado_ext.mysql.errors import ConnectionLost as ConnectionLost
from tornado_ext.mysql.errors import DatabaseError as DatabaseError
from tornado_ext.mysql.errors import DataError as DataError
from tornado_ext.mysql.errors import DataTooLong as DataTooLong
from tornado_ext.mysql.errors import Deadlock as Deadlock
from tornado_ext.mysql.errors import DuplicateKey as DuplicateKey
from tornado_ext.mysql.errors import ForeignKeyViolation as ForeignKeyViolation
from tornado_ext.mysql.errors import IntegrityError as IntegrityError
from tornado_ext.mysql.errors import LockTimeout as LockTimeout
from tornado_ext.mysql.errors import NotNullViolation as NotNullViolation
from tornado_ext.mysql.errors import ParameterError as ParameterError
from tornado_ext.mysql.errors import PoolTimeout as PoolTimeout
from tornado_ext.mysql.errors import ProgrammingError as ProgrammingError
from tornado_ext.mysql.errors import QueryTimeout as QueryTimeout
from tornado_ext.mysql.errors import ReadOnlyServer as ReadOnlyServer
from tornado_ext.mysql.mixin import DatabaseMixin as DatabaseMixin
from tornado_ext.mysql.pool import PoolStats as PoolStats
from tornado_ext.mysql.queries import Result as Result
