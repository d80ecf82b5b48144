// SPDX-License-Identifier: GPL-2.0-or-later
/* init: small files, lines from pipes and from the port, JSON to the host. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "init.h"

int port = -1;

void port_write(const char *p, size_t n)
{
	while (n) {
		ssize_t done = write(port, p, n);

		if (done < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		p += done;
		n -= done;
	}
}

/* Write @len bytes of @text as the inside of a JSON string; room for 6 * @len. */
static size_t json_escape(char *out, const char *text, size_t len)
{
	char *p = out;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = text[i];

		if (c == '"' || c == '\\') {
			*p++ = '\\';
			*p++ = c;
		} else if (c < 0x20 || c >= 0x7f) {
			p += sprintf(p, "\\u%04x", c);
		} else {
			*p++ = c;
		}
	}
	return p - out;
}

void send_text(const char *event, const char *key, const char *text, size_t len)
{
	char *line = malloc(6 * len + 128);
	size_t n;

	if (!line)
		return;
	n = sprintf(line, "{\"event\":\"%s\",\"%s\":\"", event, key);
	n += json_escape(line + n, text, len);
	n += sprintf(line + n, "\"}\n");
	port_write(line, n);
	free(line);
}

void send_error(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "init: %s\n", text);
	if (port >= 0)
		send_text("error", "text", text, strlen(text));
}

char *slurp(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0, alloc = 4096;
	char *buf = NULL;
	ssize_t done;

	if (fd < 0)
		return NULL;
	for (;;) {
		char *more = realloc(buf, alloc + 1);

		if (!more)
			break;
		buf = more;
		done = read(fd, buf + n, alloc - n);
		if (done <= 0)
			break;
		n += done;
		if (n == alloc)
			alloc *= 2;
	}
	close(fd);
	if (buf)
		buf[n] = '\0';
	if (len)
		*len = n;
	return buf;
}

void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "init: %s: %s\n", path, strerror(errno));
	close(fd);
}

void reader_close(struct reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	free(r->buf);
	memset(r, 0, sizeof(*r));
	r->fd = -1;
}

bool reader_fill(struct reader *r)
{
	ssize_t n;

	if (r->alloc - r->len < 4096) {
		size_t alloc = r->alloc ? 2 * r->alloc : 8192;
		char *more = realloc(r->buf, alloc);

		if (!more)
			return false;
		r->buf = more;
		r->alloc = alloc;
	}
	n = read(r->fd, r->buf + r->len, r->alloc - r->len);
	if (n > 0)
		r->len += n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

char *reader_line(struct reader *r, size_t *len)
{
	char *end = r->len ? memchr(r->buf, '\n', r->len) : NULL, *line;

	if (!end)
		return NULL;
	*len = end - r->buf;
	line = malloc(*len + 1);
	if (line) {
		memcpy(line, r->buf, *len);
		line[*len] = '\0';
	}
	r->len -= *len + 1;
	memmove(r->buf, end + 1, r->len);
	return line;
}
