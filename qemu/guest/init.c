// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * init - the first program of a guest: run one command, report, power off
 *
 * The harness (qemu/harness/machine.py) describes the run in files of the initramfs:
 *
 *   /harness/argv     the command, each argument ended by a NUL byte
 *   /harness/env      NAME=VALUE, each ended by a NUL byte (may be empty)
 *   /harness/devices  the devices that must appear, see init-devices.c; init makes
 *                     the links /dev/harness/NAME
 *   /harness/tty      if there, the command gets this terminal and its output
 *                     is not captured
 *
 * The port is the virtio-serial port named PORT_NAME.  Lines to the host are
 * JSON objects with the member "event":
 *
 *   start                       the command is about to run
 *   stdout, stderr  text        a line that the command printed; each byte
 *                               from 0x80 up is written as \u00XX
 *   ready           name        the command waits at a barrier
 *   result          value       a JSON value from the command, as it gave it
 *   error           text        init could not do its work
 *   exit            status      the end: exit status, or 128 + signal
 *
 * Lines from the host are words: "go NAME" opens a barrier, "dump" prints the
 * blocked tasks and CPU backtraces on the console, "bye" acknowledges "exit".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "guest.h"
#include "init.h"

#define PORT_NAME	"erofs-ramdax"
#define MAX_WAITING	64
#define BYE_WAIT_MS	5000
#define EXIT_NO_START	125

/* A program at a barrier; free if it has no token. */
struct waiting {
	char token[GUEST_TOKEN];
	char barrier[GUEST_NAME];
};

static struct reader output[2];
static struct reader requests;
static struct reader from_host;
static struct waiting waiting[MAX_WAITING];

static int open_port(void)
{
	struct dirent *d;
	char path[300];
	DIR *dir = opendir("/sys/class/virtio-ports");

	while (dir && (d = readdir(dir))) {
		char *name;

		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", d->d_name);
		name = d->d_name[0] == '.' ? NULL : slurp(path, NULL);
		if (name && !strcmp(name, PORT_NAME "\n")) {
			snprintf(path, sizeof(path), "/dev/%s", d->d_name);
			free(name);
			closedir(dir);
			return open(path, O_RDWR | O_CLOEXEC);
		}
		free(name);
	}
	if (dir)
		closedir(dir);
	errno = ENODEV;
	return -1;
}

/* Open for both ways, so that it never ends when a program closes it. */
static int open_requests(void)
{
	int fd;

	if (chmod("/harness", 01777) || mkfifo(GUEST_REQUESTS, 0666) ||
	    chmod(GUEST_REQUESTS, 0666))
		fd = -1;
	else
		fd = open(GUEST_REQUESTS, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		send_error("%s: %s", GUEST_REQUESTS, strerror(errno));
	return fd;
}

static void pump_output(struct reader *r, bool last)
{
	bool open = reader_fill(r);
	size_t len;
	char *line;

	while ((line = reader_line(r, &len))) {
		send_text(r->event, "text", line, len);
		free(line);
	}
	if (!open || last) {
		if (r->len)
			send_text(r->event, "text", r->buf, r->len);
		reader_close(r);
	}
}

static void answer(const char *token, const char *text)
{
	char path[sizeof(GUEST_ANSWER) + GUEST_TOKEN];
	int fd;

	snprintf(path, sizeof(path), GUEST_ANSWER "%s", token);
	/* A program that was killed has left nobody to read it. */
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "init: %s: %s\n", path, strerror(errno));
	close(fd);
}

/* One line of GUEST_REQUESTS: VERB TOKEN TEXT. */
static void serve_request(char *line)
{
	char *verb = line, *token = strchr(line, ' '), *text;
	int i;

	text = token ? strchr(token + 1, ' ') : NULL;
	if (!text || text - token > GUEST_TOKEN)
		return;
	*token++ = '\0';
	*text++ = '\0';
	if (!strcmp(verb, "ready") && strlen(text) < GUEST_NAME) {
		for (i = 0; i < MAX_WAITING && waiting[i].token[0]; i++)
			;
		if (i == MAX_WAITING) {
			answer(token, "too many wait at a barrier\n");
			return;
		}
		strcpy(waiting[i].token, token);
		strcpy(waiting[i].barrier, text);
		send_text("ready", "name", text, strlen(text));
	} else if (!strcmp(verb, "result")) {
		static const char head[] = "{\"event\":\"result\",\"value\":";

		port_write(head, strlen(head));
		port_write(text, strlen(text));
		port_write("}\n", 2);
		answer(token, "ok\n");
	} else {
		answer(token, "bad request\n");
	}
}

static void pump_requests(void)
{
	size_t len;
	char *line;

	reader_fill(&requests);
	while ((line = reader_line(&requests, &len))) {
		serve_request(line);
		free(line);
	}
}

/* Return: true when the host said "bye". */
static bool pump_host(void)
{
	bool bye = false;
	size_t len;
	char *line;

	reader_fill(&from_host);
	while ((line = reader_line(&from_host, &len))) {
		if (!strncmp(line, "go ", 3)) {
			for (int i = 0; i < MAX_WAITING; i++)
				if (waiting[i].token[0] && !strcmp(waiting[i].barrier, line + 3)) {
					answer(waiting[i].token, "ok\n");
					waiting[i].token[0] = '\0';
				}
		} else if (!strcmp(line, "dump")) {
			put("/proc/sys/kernel/printk", "8");
			put("/proc/sysrq-trigger", "w");
			put("/proc/sysrq-trigger", "l");
		} else if (!strcmp(line, "bye")) {
			bye = true;
		}
		free(line);
	}
	return bye;
}

/* Split NUL-separated text. Return: malloc'ed array that ends in NULL. */
static char **split(char *text, size_t len)
{
	char **list = calloc(len + 2, sizeof(*list));
	size_t n = 0;

	for (char *p = text; list && p && p < text + len; p += strlen(p) + 1)
		list[n++] = p;
	return list;
}

static pid_t start_command(char **argv, const char *tty)
{
	int out[2] = { -1, -1 }, errs[2] = { -1, -1 };
	pid_t pid;

	if (!tty && (pipe2(out, O_CLOEXEC) || pipe2(errs, O_CLOEXEC)))
		return -1;
	pid = fork();
	if (!pid) {
		sigset_t none;
		int in;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		setsid();
		in = open(tty ? tty : "/dev/null", tty ? O_RDWR : O_RDONLY);
		dup2(in, 0);
		dup2(tty ? in : out[1], 1);
		dup2(tty ? in : errs[1], 2);
		if (tty)
			ioctl(0, TIOCSCTTY, 0);
		if (in > 2)
			close(in);
		execvp(argv[0], argv);
		fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
		_exit(errno == ENOENT ? 127 : 126);
	}
	if (tty)
		return pid;
	close(out[1]);
	close(errs[1]);
	output[0] = (struct reader){ .fd = out[0], .event = "stdout" };
	output[1] = (struct reader){ .fd = errs[0], .event = "stderr" };
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(errs[0], F_SETFL, O_NONBLOCK);
	return pid;
}

/* Serve everybody until the command ends. Return: its status. */
static int serve(pid_t command, int sigfd)
{
	int status = -1;

	while (status < 0) {
		struct pollfd fds[] = {
			{ .fd = sigfd, .events = POLLIN },
			{ .fd = port, .events = POLLIN },
			{ .fd = requests.fd, .events = POLLIN },
			{ .fd = output[0].fd, .events = POLLIN },
			{ .fd = output[1].fd, .events = POLLIN },
		};
		struct signalfd_siginfo si;
		pid_t pid;
		int wstatus;

		if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0)
			continue;
		for (int i = 0; i < 2; i++)
			if (fds[3 + i].revents)
				pump_output(&output[i], false);
		if (fds[2].revents & POLLIN)
			pump_requests();
		if (fds[1].revents & POLLIN)
			pump_host();
		if (fds[0].revents & POLLIN && read(sigfd, &si, sizeof(si)) == sizeof(si)) {
			while ((pid = waitpid(-1, &wstatus, WNOHANG)) > 0)
				if (pid == command)
					status = WIFSIGNALED(wstatus) ?
						128 + WTERMSIG(wstatus) : WEXITSTATUS(wstatus);
		}
	}
	for (int i = 0; i < 2; i++)
		while (output[i].fd >= 0) {
			struct pollfd p = { .fd = output[i].fd, .events = POLLIN };

			/* A child left behind may hold the pipe: take what is in it. */
			pump_output(&output[i], poll(&p, 1, 0) <= 0);
		}
	return status;
}

/* Wait until what the command wrote to its terminal has left the guest. */
static void drain(const char *tty)
{
	int fd = open(tty, O_WRONLY | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (tcdrain(fd))
		send_error("%s: %s", tty, strerror(errno));
	close(fd);
}

static void finish(int status)
{
	struct pollfd p = { .fd = port, .events = POLLIN };
	char line[64];
	int n;

	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	unmount_rest();
	sync();
	if (port >= 0) {
		n = sprintf(line, "{\"event\":\"exit\",\"status\":%d}\n", status);
		port_write(line, n);
		/* The line is with the host when the host says so. */
		while (poll(&p, 1, BYE_WAIT_MS) > 0 && p.revents & POLLIN && !pump_host())
			;
	}
	/* QEMU runs with -no-reboot: this ends it. */
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

int main(void)
{
	int sigfd, status = EXIT_NO_START;
	char *text, **argv, **env, *tty;
	static const char start[] = "{\"event\":\"start\"}\n";
	sigset_t chld;
	size_t len;
	pid_t pid;

	mount_initial();
	output[0].fd = output[1].fd = -1;
	port = open_port();
	from_host.fd = port;
	if (port < 0) {
		send_error("no virtio port '%s': %s (CONFIG_VIRTIO_CONSOLE, CONFIG_VIRTIO_PCI?)",
			   PORT_NAME, strerror(errno));
		finish(status);
	}
	fcntl(port, F_SETFL, 0);

	setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 1);
	setenv("HOME", "/root", 1);
	setenv("TERM", "linux", 0);
	len = 0;
	text = slurp("/harness/env", &len);
	env = split(text, len);
	for (; env && *env; env++)
		putenv(*env);
	len = 0;
	text = slurp("/harness/argv", &len);
	argv = split(text, len);
	tty = slurp("/harness/tty", NULL);

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	sigfd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	requests.fd = open_requests();
	if (sigfd < 0)
		send_error("signalfd: %s (CONFIG_SIGNALFD?)", strerror(errno));
	else if (!argv || !argv[0])
		send_error("/harness/argv names no command");
	else if (requests.fd >= 0 && !load_modules() && !link_devices()) {
		port_write(start, strlen(start));
		pid = start_command(argv, tty);
		if (pid < 0)
			send_error("cannot start %s: %s", argv[0], strerror(errno));
		else
			status = serve(pid, sigfd);
		if (tty)
			drain(tty);
	}
	finish(status);
}
