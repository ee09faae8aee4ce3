# limits - every size and time that a peer could otherwise choose, with its reason.

cdef enum:
    RECORD_HEADER = 5
    PLAINTEXT_MAX = 16384            # RFC 5246 section 6.2.1
    CIPHERTEXT_MAX = 16384 + 2048    # RFC 5246 section 6.2.3
    RING_SIZE = 524288               # one direction; 31 full records, a power of two
    PIPE_FULL = 65536                # what a pipe holds (pipe(7))
    PIPE_WIDE = 262144               # what prog's hold once they were full
    BATCH = 8                        # records that key opens or seals per system call on prog's pipe
    SLOT = 5 + 16384 + 2048 + 107    # one record in private memory, with room before the plaintext for header and IV
    FIRST_PLAINTEXT = 1280           # of a first record: with 85 bytes around it one segment of 1500-byte packets, and
                                     # of most tunnels'; 16 are five pages, so that reads of a full pipe stay aligned
    FIRST_SLOT = 1536                # one first record in private memory; with TLS 1.0 it is two
    FIRST_BATCH = 16                 # first records that key seals per system call: TCP starts with ten segments
    FIRST_BYTES = 40960              # then records are full: by now TCP sends more than 16 KiB a round trip
    REST_MS = 1000                   # silence after which records are small again and memory is given back: a second
                                     # at HAProxy (tune.idletimer) and nginx's patch too, as TCP's window shrinks again
    CLIENT_HELLO_MAX = 131396        # every vector at its limit (RFC 5246 section 7.4.1.2)
    CERTIFICATE_MAX = 65536          # a client's chain; OpenSSL allows 100 KiB, real chains are under 10 KiB
    HANDSHAKE_MAX = 2048             # every other message of a client: a signature of RSA 4096 is 512 bytes
    TRANSCRIPT_MAX = 262144          # handshake messages up to CertificateVerify, anchors' names included
    WARNINGS_MAX = 4                 # consecutive warning alerts (OpenSSL stops at 5)
    EMPTY_RECORDS_MAX = 32           # consecutive records without application data, KeyUpdates too (OpenSSL: 32)
    RENEGOTIATIONS_MAX = 4           # refused renegotiation attempts
    CHAIN_MAX = 16                   # certificates of one chain (tlswrapper)
    CHAIN_BYTES_MAX = 98304          # the chain's DER on its way to net
    ENTRIES_MAX = 4                  # -f and -d together (tlswrapper)
    CANDIDATES_MAX = 12              # entries x names tried
    PEM_MAX = 262144                 # a PEM file
    SNI_MAX = 255
    MESSAGE_MAX = 131072             # one key port message
    ACCOUNT_MAX = 256
    LINGER_MS = 1000                 # after our alert or close_notify, read and drop for so long...
    ALERT_RECORD_MAX = 96            # a sealed alert with the largest IV, MAC and padding BearSSL makes
    LINGER_QUEUED_MS = 10000         # longer, while what a client sent is not acknowledged by a peer that sends itself
    LINGER_BYTES = 65536             # ...or so many bytes, else a reset would eat the last record
    LINGER_LOOK_MS = 20              # between two looks whether they are acknowledged, of which there is no event
    GRACE_MS = 1000                  # prog gets EOF, then so long to end, then SIGTERM; again, then SIGKILL
    LEAVING_MS = 200                    # between the end of prog's output, when it exits, and its SIGCHLD
    PROXY_MAX = 127                  # a PROXY v1 line with its LF
    PROTOCOLS_MAX = 16               # names of --alpn
    SUITES_MAX = 48                  # BearSSL's own limit on a list
    SERVER_KEY_MAX = 512             # bytes of a server's RSA modulus: 4096 bits, the most that BearSSL takes
    INNER_MAX = 16384 + 1            # TLSInnerPlaintext: content and its type, padding counts (RFC 8446 section 5.2)
    SEALED_MAX = 16384 + 256         # a record of TLS 1.3 (RFC 8446 section 5.2)
    RECORD_LIMIT_MIN = 64            # record_size_limit (RFC 8449 section 4)
    SCHEMES_MAX = 16                 # signature schemes kept of a peer's list: more than we know
    TICKET_LIFETIME_MAX = 604800     # seconds: seven days (RFC 8446 section 4.6.1)
    PSK_TRIED = 4                    # tickets of one hello that a server looks at
    BINDER_MIN = 32                  # PskBinderEntry (RFC 8446 section 4.2.11)
    EARLY_MAX = 131072               # bytes of refused early data that are passed over (OpenSSL allows 16 KiB by default)
    FLIGHT_MAX = 196608              # a server's sealed flight: chain and anchors' names at their largest
    CLIENT13_HELLO_MAX = 4096        # our ClientHello: names and suites take 500 bytes, a server's cookie the rest
    SPECS_MAX = 32                   # change_cipher_spec records passed over in one handshake; one or two are usual

# How many records one key may protect (RFC 8446 section 5.5): AES-GCM keeps its margin of 2^-57 up to 2^24.5 full
# records; ChaCha20-Poly1305 would outlast the sequence number, so any bound will do. Key changes well before.
cdef enum:
    GCM_RECORDS_MAX = 16777216       # 2^24
    CHAPOL_RECORDS_MAX = 1073741824  # 2^30: far below what the sequence number holds, far above any connection
    RECORDS_SPARE = 64               # records kept back, so that the KeyUpdate itself and what follows fits
