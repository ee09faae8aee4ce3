# post13 - TLS 1.3 once the handshake is done: alerts, KeyUpdate, NewSessionTicket (RFC 8446 sections 4.6 and 6), for
# both roles, in net. key stops on each such record until net has said what it was, and counts them.

cdef void post13_message(Net *net, bint more) noexcept nogil:
    """A whole message is in net_message; more: something is behind it in its record."""
    cdef const uint8_t *body = net_message + 4
    cdef size_t n = net.message_len - 4
    cdef Ticket13 ticket
    cdef bint requested = False
    cdef uint8_t answer_due
    cdef int alert
    if net_message[0] == MSG_KEY_UPDATE:
        alert = UNEXPECTED_MESSAGE if more else key_update13_check(body, n, &requested)
    else:
        alert = ticket13_check(body, n, &ticket)        # of no use to us: nothing is kept between connections
    if alert:
        net_fail(net, alert, "malformed message after the handshake")
        return
    if net_message[0] == MSG_KEY_UPDATE:
        answer_due = requested and not net.output_closed
        port_send(net.port, BW_OP_UPDATE13, &answer_due, 1)

cdef void post13(Net *net, const uint8_t *p, size_t n) noexcept nogil:
    """The content of a handshake record; of all messages only these two may come, the ticket to a client."""
    cdef size_t k
    while n and not net_over(net):
        k = message_take(net, p, n)
        p += k
        n -= k
        if net.message_len < 4:
            continue
        if net_message[0] != MSG_KEY_UPDATE and (net_message[0] != MSG_TICKET or net.config.client == NULL):
            net_fail(net, UNEXPECTED_MESSAGE, "unexpected handshake message")
        elif message_size(net) - 4 > (1 if net_message[0] == MSG_KEY_UPDATE else CLIENT_HELLO_MAX):
            net_fail(net, DECODE_ERROR, "handshake message too long")
        elif net.message_len == message_size(net):
            post13_message(net, n > 0)
            net.message_len = 0
