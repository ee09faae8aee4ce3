# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# cython: embedsignature=False, auto_pickle=False, binding=False
#
# _bear - the compiled half of bearwrap: BearSSL's primitives and handshake, records, ring, jail and the three
# processes of a connection. One module from the parts below, each with one subject, in the order of their layers:
# a part uses only parts above it. Types and docstrings of what Python sees are in bearwrap/_bear.pyi.

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport atoi, calloc, free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy, memmove, memset, strchr, strcmp, strcpy, strlen, strncmp

from bearssl cimport *
from bearssl_inner cimport *
from primitives cimport *
from system cimport *
from tables cimport *

# bytes in, values out
include "limits.pxi"
include "alert.pxi"
include "cursor.pxi"
include "der.pxi"
include "extension.pxi"
include "extension13.pxi"
include "hello.pxi"
include "names.pxi"
include "address.pxi"
include "altname.pxi"
include "pem.pxi"
include "certificate.pxi"
include "privatekey.pxi"
include "anchors.pxi"
include "hash.pxi"
include "pss.pxi"
include "schemes.pxi"
include "hkdf.pxi"
include "schedule.pxi"
include "records.pxi"
include "protect.pxi"
include "serverflight.pxi"
include "wire13.pxi"
include "flight13.pxi"
include "serverhello13.pxi"
include "select13.pxi"
include "ticket.pxi"
# one effect each
include "log.pxi"
include "proxyline.pxi"
include "jail.pxi"
include "sandbox.pxi"
include "seccomp.pxi"
include "config.pxi"
include "descriptors.pxi"
include "affinity.pxi"
include "pages.pxi"
include "ring.pxi"
include "ticketpage.pxi"
include "port.pxi"
# the prog process
include "prog.pxi"
# the key process
include "identity.pxi"
include "trust.pxi"
include "peer.pxi"
include "key.pxi"
include "keyserver.pxi"
include "keyclient.pxi"
include "keyrun.pxi"
include "keyserver13.pxi"
include "keyclient13.pxi"
include "keymain.pxi"
# the net process
include "engine.pxi"
include "engineserver.pxi"
include "engineclient.pxi"
include "net.pxi"
include "netmove.pxi"
include "netflight.pxi"
include "netserver13.pxi"
include "netserver.pxi"
include "netclient13.pxi"
include "netclient.pxi"
include "nethandshake.pxi"
include "post13.pxi"
include "netrun.pxi"
include "netclear.pxi"
include "netend.pxi"
include "connection.pxi"
include "clientrun.pxi"
# bearwrap serve
include "worker.pxi"
include "settings.pxi"
include "listen.pxi"
include "waiting.pxi"
include "supervisor.pxi"
include "status.pxi"
include "serve.pxi"
include "again.pxi"
# tlswrapper without the interpreter
include "cache.pxi"
# tlswrapper-tcp
include "resolver.pxi"
include "dial.pxi"
include "relay.pxi"
include "tcp.pxi"
# s6-tlsclient
include "tcpclient.pxi"
# tlswrapper-smtp
include "smtp.pxi"
include "greylist.pxi"
# what Python sees
include "face.pxi"
include "tcpface.pxi"
include "smtpface.pxi"
include "clientface.pxi"
include "tcpclientface.pxi"
include "serveface.pxi"
# what tests see besides: not in the native programs
include "testface.pxi"
include "primitiveface.pxi"
include "tls13face.pxi"
