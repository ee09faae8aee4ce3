/*
 * keylog.h - a client's key log, for a test or a packet analyser to read its connection with: only where the test hooks
 * are compiled in, and only for the client mode, whose key process alone calls bw_keylog_open. A release build has
 * nothing of it, so no variable of the environment can make one write a secret.
 *
 * The file that SSLKEYLOGFILE names gets a line for each secret: its label, the client's random and the secret, both in
 * hexadecimal (RFC 9850). What fails is passed over: a connection does not end for its log.
 */

#ifndef BEARWRAP_KEYLOG_H
#define BEARWRAP_KEYLOG_H

#include <stddef.h>
#include <stdint.h>

#ifdef BEARWRAP_TEST_HOOKS

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int bw_keylog_fd = -1;

/* bw_keylog_open - before the jail. */
static void bw_keylog_open(void)
{
	const char *path = getenv("SSLKEYLOGFILE");
	if (path != NULL && path[0] != 0)
		bw_keylog_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* bw_keylog_line - by one write, so those of several connections do not mix. */
static void bw_keylog_line(const char *label, const uint8_t *client_random, const uint8_t *secret, size_t n)
{
	char line[300];
	size_t at = 0, i;
	if (bw_keylog_fd < 0 || n > 64)
		return;
	at += (size_t)snprintf(line, 64, "%s ", label);
	for (i = 0; i < 32; i++)
		at += (size_t)snprintf(line + at, 3, "%02x", client_random[i]);
	line[at++] = ' ';
	for (i = 0; i < n; i++)
		at += (size_t)snprintf(line + at, 3, "%02x", secret[i]);
	line[at++] = '\n';
	if (write(bw_keylog_fd, line, at) < 0)
		at = 0;
	explicit_bzero(line, sizeof line);
}

/* bw_keylog_master - up to TLS 1.2. */
static void bw_keylog_master(const uint8_t *client_random, const uint8_t *secret)
{
	bw_keylog_line("CLIENT_RANDOM", client_random, secret, 48);
}

/* bw_keylog_handshake - of TLS 1.3, as the next. */
static void bw_keylog_handshake(const uint8_t *client_random, const uint8_t *client, const uint8_t *server, size_t n)
{
	bw_keylog_line("CLIENT_HANDSHAKE_TRAFFIC_SECRET", client_random, client, n);
	bw_keylog_line("SERVER_HANDSHAKE_TRAFFIC_SECRET", client_random, server, n);
}

static void bw_keylog_application(const uint8_t *client_random, const uint8_t *client, const uint8_t *server, size_t n)
{
	bw_keylog_line("CLIENT_TRAFFIC_SECRET_0", client_random, client, n);
	bw_keylog_line("SERVER_TRAFFIC_SECRET_0", client_random, server, n);
}

#else

#define bw_keylog_open() ((void)0)
#define bw_keylog_master(client_random, secret) ((void)0)
#define bw_keylog_handshake(client_random, client, server, n) ((void)0)
#define bw_keylog_application(client_random, client, server, n) ((void)0)

#endif
#endif
