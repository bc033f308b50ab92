/* SPDX-License-Identifier: Apache-2.0 */
/* Start, feed and end the host backend's helper process, on POSIX. handle[0] is the socket, handle[1] the process. */
#if defined(__APPLE__)
#define _DARWIN_C_SOURCE /* SO_NOSIGPIPE */
#else
#define _POSIX_C_SOURCE 200809L
#endif

#include "host_process.h"

#if !defined(_WIN32)

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef TFLM_BUILD_PYTHON
#define TFLM_BUILD_PYTHON "python3" /* found through PATH */
#endif

#ifndef TFLM_BUILD_HOST_TIMEOUT
#define TFLM_BUILD_HOST_TIMEOUT 60 /* seconds without a byte from the helper, after which it counts as dead */
#endif

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS has the socket option SO_NOSIGPIPE instead */
#endif

/* Not `-m tflm_build.host`: that would put the working directory before the installed packages on Python's path. */
static const char kHelper[] =
    "import sys; sys.path = sys.argv[1:] + [entry for entry in sys.path if entry]; "
    "from tflm_build.host import main; sys.exit(main())";

extern char **environ;

static const char *python_path(void) {
  const char *const python = getenv("TFLM_BUILD_PYTHON");
  return python != NULL && python[0] != '\0' ? python : TFLM_BUILD_PYTHON;
}

static void say(const char *python, const char *what) {
  (void)fprintf(stderr,
                "tflm-build: error: host backend: %s: %s; set TFLM_BUILD_PYTHON in the environment to a Python that "
                "has tflm-build[host]\n",
                python, what);
}

/* Move a descriptor past stdin, stdout and stderr, which it becomes where the caller has closed them. */
static int lift(int fd) {
  if (fd < 0 || fd > STDERR_FILENO) return fd;
  const int lifted = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  (void)close(fd);
  return lifted;
}

static bool make_sockets(int fds[2]) {
#if defined(SOCK_CLOEXEC)
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return false;
#else
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return false;
  (void)fcntl(fds[0], F_SETFD, FD_CLOEXEC);
  (void)fcntl(fds[1], F_SETFD, FD_CLOEXEC);
#endif
  fds[0] = lift(fds[0]);
  fds[1] = lift(fds[1]);
  const struct timeval timeout = {.tv_sec = TFLM_BUILD_HOST_TIMEOUT};
  bool good = fds[0] >= 0 && fds[1] >= 0;
  good = good && setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0;
  good = good && setsockopt(fds[0], SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) == 0;
#if defined(SO_NOSIGPIPE)
  const int on = 1;
  good = good && setsockopt(fds[0], SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on) == 0;
#endif
  if (!good) {
    if (fds[0] >= 0) (void)close(fds[0]);
    if (fds[1] >= 0) (void)close(fds[1]);
  }
  return good;
}

/* posix_spawn, not fork: the caller may have threads, and may be built with a sanitizer. */
static int spawn(const char *python, int socket, pid_t *pid) {
  const char *argv[] = {python, "-c", kHelper, NULL, NULL};
#if defined(TFLM_BUILD_PYTHONPATH)
  argv[3] = TFLM_BUILD_PYTHONPATH;
#endif
  posix_spawn_file_actions_t actions;
  int error = posix_spawn_file_actions_init(&actions);
  if (error != 0) return error;
  error = posix_spawn_file_actions_adddup2(&actions, socket, STDIN_FILENO);
  if (error == 0) error = posix_spawnp(pid, python, &actions, NULL, (char *const *)argv, environ);
  (void)posix_spawn_file_actions_destroy(&actions);
  return error;
}

bool tflm_helper_start(tflm_session *session) {
  const char *const python = python_path();
  int fds[2];
  if (!make_sockets(fds)) {
    say(python, strerror(errno));
    return false;
  }
  pid_t pid = -1;
  const int error = spawn(python, fds[1], &pid);
  (void)close(fds[1]);
  if (error != 0) {
    say(python, strerror(error));
    (void)close(fds[0]);
    return false;
  }
  session->handle[0] = fds[0];
  session->handle[1] = pid;
  return true;
}

/*
 * Killed, not asked to end: it owns nothing that outlives it, and so a helper that hangs needs no second way. A wrapper
 * around Python may die in its place; Python then ends as the socket is closed. Only a child not yet waited for may be
 * killed: where the caller ignores SIGCHLD the process id may be another's by now.
 */
void tflm_helper_end(tflm_session *session) {
  if (!tflm_helper_runs(session)) return;
  (void)close((int)session->handle[0]);
  const pid_t pid = (pid_t)session->handle[1];
  pid_t waited = waitpid(pid, NULL, WNOHANG);
  if (waited == 0) (void)kill(pid, SIGKILL);
  while (waited == 0 || (waited < 0 && errno == EINTR)) waited = waitpid(pid, NULL, 0);
  session->handle[0] = session->handle[1] = -1;
}

bool tflm_helper_runs(const tflm_session *session) { return session->handle[0] >= 0; }

void tflm_helper_complain(const char *what) { say(python_path(), what); }

bool tflm_helper_put(const tflm_session *session, const void *data, size_t size) {
  const unsigned char *next = data;
  while (size > 0) {
    const ssize_t sent = send((int)session->handle[0], next, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    next += sent;
    size -= (size_t)sent;
  }
  return true;
}

bool tflm_helper_get(const tflm_session *session, void *data, size_t size) {
  unsigned char *next = data;
  while (size > 0) {
    const ssize_t received = recv((int)session->handle[0], next, size, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return false; /* the helper is gone, or gave no answer in time */
    next += received;
    size -= (size_t)received;
  }
  return true;
}

#endif /* !_WIN32 */
