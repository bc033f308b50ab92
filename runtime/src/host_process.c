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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
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

#define ENOUGH_FILES 1024     /* what the helper may have open; it needs some ten beside those that it inherits */
#define MILLISECONDS 1000000L /* in nanoseconds */

/* Arguments of a process are not constant. */
static char default_python[] = TFLM_BUILD_PYTHON;
static char dash_c[] = "-c";
/* Not `-m tflm_build.host`: that would put the working directory before the installed packages on Python's path. */
static char helper[] =
    "import sys; sys.path = sys.argv[1:] + [entry for entry in sys.path if entry]; "
    "from tflm_build.host import main; sys.exit(main())";
#if defined(TFLM_BUILD_PYTHONPATH)
static char package_path[] = TFLM_BUILD_PYTHONPATH;
#endif

/* Variables that are meant for the program that uses the runtime, and would have another Python fail. */
static const char *const kNotForHelper[] = {"PYTHON", "LD_PRELOAD=", "LD_AUDIT=", "DYLD_INSERT_LIBRARIES="};

extern char **environ;

static char *python_path(void) {
  char *const python = getenv("TFLM_BUILD_PYTHON");
  return python != NULL && python[0] != '\0' ? python : default_python;
}

static void say(const char *python, const char *what) {
  (void)fprintf(stderr,
                "tflm-build: error: host backend: %s: %s; set TFLM_BUILD_PYTHON in the environment to a Python that "
                "has tflm-build[host]\n",
                python, what);
}

static void say_system(const char *python, int error) {
  if (error == EMFILE || error == ENFILE) {
    (void)fprintf(stderr, "tflm-build: error: host backend: %s; close some, or raise the limit, as with 'ulimit -n'\n",
                  strerror(error));
  } else {
    say(python, strerror(error));
  }
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

static bool is_for_helper(const char *variable) {
  for (size_t i = 0; i < sizeof kNotForHelper / sizeof *kNotForHelper; ++i) {
    if (strncmp(variable, kNotForHelper[i], strlen(kNotForHelper[i])) == 0) return false;
  }
  return true;
}

/* The environment without what is not for the helper; to be freed, its strings not. NULL: out of memory. */
static char **helper_environment(void) {
  size_t count = 0, kept = 0;
  while (environ != NULL && environ[count] != NULL) ++count;
  char **const variables = (char **)malloc((count + 1) * sizeof *variables);
  for (size_t i = 0; variables != NULL && i < count; ++i) {
    if (is_for_helper(environ[i])) variables[kept++] = environ[i];
  }
  if (variables != NULL) variables[kept] = NULL;
  return variables;
}

/* posix_spawn, not fork: the caller may have threads, and may be built with a sanitizer. */
static int spawn(char *python, int socket, pid_t *pid) {
  char *argv[] = {python, dash_c, helper, NULL, NULL};
#if defined(TFLM_BUILD_PYTHONPATH)
  argv[3] = package_path;
#endif
  posix_spawn_file_actions_t actions;
  int error = posix_spawn_file_actions_init(&actions);
  if (error != 0) return error;
  char **const variables = helper_environment();
  error = variables == NULL ? ENOMEM : posix_spawn_file_actions_adddup2(&actions, socket, STDIN_FILENO);
  if (error == 0) error = posix_spawnp(pid, python, &actions, NULL, argv, variables);
  free(variables);
  (void)posix_spawn_file_actions_destroy(&actions);
  return error;
}

static int start(tflm_session *session, char *python) {
  int fds[2];
  if (!make_sockets(fds)) return errno;
  pid_t pid = -1;
  const int error = spawn(python, fds[1], &pid);
  (void)close(fds[1]);
  if (error != 0) {
    (void)close(fds[0]);
    return error;
  }
  session->handle[0] = fds[0];
  session->handle[1] = pid;
  return 0;
}

/* The helper inherits the limit of open files: it is raised for as long as starting takes, where that is allowed. */
bool tflm_helper_start(tflm_session *session) {
  char *const python = python_path();
  struct rlimit own, raised;
  const bool known = getrlimit(RLIMIT_NOFILE, &own) == 0;
  if (known && own.rlim_cur < ENOUGH_FILES) {
    raised = own;
    raised.rlim_cur = own.rlim_max < ENOUGH_FILES ? own.rlim_max : ENOUGH_FILES;
    (void)setrlimit(RLIMIT_NOFILE, &raised);
  }
  const int error = start(session, python);
  if (known && own.rlim_cur < ENOUGH_FILES) (void)setrlimit(RLIMIT_NOFILE, &own);
  if (error != 0) say_system(python, error);
  return error == 0;
}

/*
 * Close the socket, by which the helper ends, and kill it where it has not after some hundredths of a second. Returns
 * its status, or -1 where it was killed here or nothing is known of it. A wrapper around Python may die in its place;
 * Python then ends as the socket is closed. Only a child not yet waited for may be killed: where the caller ignores
 * SIGCHLD the process id may be another's by now.
 */
static int end(tflm_session *session, unsigned hundredths) {
  const struct timespec pause = {.tv_nsec = 10 * MILLISECONDS};
  (void)close((int)session->handle[0]);
  const pid_t pid = (pid_t)session->handle[1];
  int status = 0;
  pid_t waited = waitpid(pid, &status, WNOHANG);
  for (; waited == 0 && hundredths > 0; --hundredths) {
    (void)nanosleep(&pause, NULL);
    waited = waitpid(pid, &status, WNOHANG);
  }
  const bool killed = waited == 0;
  if (killed) (void)kill(pid, SIGKILL);
  while (waited == 0 || (waited < 0 && errno == EINTR)) waited = waitpid(pid, &status, 0);
  session->handle[0] = session->handle[1] = -1;
  return waited > 0 && !killed ? status : -1;
}

/* Killed, not waited for: it owns nothing that outlives it, and so a helper that hangs needs no second way. */
void tflm_helper_end(tflm_session *session) {
  if (tflm_helper_runs(session)) (void)end(session, 0);
}

bool tflm_helper_runs(const tflm_session *session) { return session->handle[0] >= 0; }

void tflm_helper_complain(tflm_session *session) {
  const int status = end(session, 200);
  char what[96] = "the helper of this version of tflm-build did not start: it gave no right answer";
  if (status != -1) {
    const bool signalled = WIFSIGNALED(status);
    (void)snprintf(what, sizeof what, "the helper of this version of tflm-build did not start: it ended with %s %d",
                   signalled ? "signal" : "status", signalled ? WTERMSIG(status) : WEXITSTATUS(status));
  }
  say(python_path(), what);
}

bool tflm_helper_put(const tflm_session *session, const void *data, size_t size) {
  const unsigned char *next = (const unsigned char *)data;
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
  unsigned char *next = (unsigned char *)data;
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
