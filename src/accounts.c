/*
 * accounts - name lookups for the statically linked launcher.
 *
 * A static C library answers from /etc/passwd and /etc/group by itself; for every other source that nsswitch.conf
 * names it would load the shared C library beside itself, and crash (tried: libnss_systemd, for an unknown account).
 * So the linker's --wrap sends the lookups here: the static library is told to use the files only, and what they do
 * not hold is asked of getent(1), which uses the system's own sources. The extension and the programs that are
 * linked to the shared C library do without this file.
 *
 * Only the functions below are wrapped; the build refuses a static program that calls another one of the kind.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define GETENT "/usr/bin/getent"
#define ANSWER_MAX 8192  /* bytes of one passwd line, or of one user's group numbers */
#define GROUPS_MAX 1024  /* supplementary groups taken; Linux itself allows 65536 */

int __nss_configure_lookup(const char *database, const char *sources);
struct passwd *__real_getpwnam(const char *name);
int __real_initgroups(const char *user, gid_t group);
int __real_getgrouplist(const char *user, gid_t group, gid_t *groups, int *count);
struct passwd *__wrap_getpwnam(const char *name);
int __wrap_initgroups(const char *user, gid_t group);
int __wrap_getgrouplist(const char *user, gid_t group, gid_t *groups, int *count);

/* pin - keep the static library to the sources it has built in; must run before its first lookup. */
static void pin(void)
{
    static int pinned;

    if (pinned)
        return;
    pinned = 1;
    if (__nss_configure_lookup("passwd", "files") || __nss_configure_lookup("group", "files") ||
        __nss_configure_lookup("initgroups", "files"))
        _exit(111); /* only without memory; going on could crash */
}

/*
 * groups_elsewhere - whether nsswitch.conf names a source of groups beyond the local ones. systemd's is taken as
 * local: it knows the groups of systemd's own users only, and asking for each connection costs a millisecond.
 */
static int groups_elsewhere(void)
{
    char line[512];
    int found = 0;
    FILE *file = fopen("/etc/nsswitch.conf", "re");

    while (file && fgets(line, sizeof line, file)) {
        char *rest = NULL;
        char *word = strtok_r(line, " \t\n", &rest);
        if (!word || (strcmp(word, "group:") && strcmp(word, "initgroups:")))
            continue;
        while ((word = strtok_r(NULL, " \t\n", &rest)) && *word != '#')
            if (*word != '[' && strcmp(word, "files") && strcmp(word, "systemd"))
                found = 1;
    }
    if (file)
        fclose(file);
    return found;
}

/* ask - run `getent DATABASE -- NAME`; its first line as a string in answer, or 0 if there is none. */
static int ask(const char *database, const char *name, char *answer)
{
    char *arguments[] = {"getent", (char *)database, "--", (char *)name, NULL};
    char *environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    size_t length = 0;
    int ends[2], status = -1;
    pid_t child = -1;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return 0;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    /* The connection's own descriptors are none of getent's business. */
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    if (posix_spawn(&child, GETENT, &actions, &attributes, arguments, environment))
        child = -1;
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(ends[1]);
    while (child > 0 && length < ANSWER_MAX - 1) {
        ssize_t got = read(ends[0], answer + length, ANSWER_MAX - 1 - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    close(ends[0]);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    answer[length] = 0;
    char *end = strchr(answer, '\n');
    if (status != 0 || !end)
        return 0;
    *end = 0;
    return 1;
}

/* __wrap_getpwnam - as getpwnam(3). */
struct passwd *__wrap_getpwnam(const char *name)
{
    static struct passwd entry;
    static char text[ANSWER_MAX], fields[ANSWER_MAX];
    struct passwd *found = NULL;

    pin();
    found = __real_getpwnam(name);
    if (found || !ask("passwd", name, text))
        return found;
    FILE *file = fmemopen(text, strlen(text), "r");
    if (file) {
        /* getent takes digits for a uid; only the account of this very name counts. */
        if (fgetpwent_r(file, &entry, fields, sizeof fields, &found) || strcmp(entry.pw_name, name))
            found = NULL;
        fclose(file);
    }
    return found;
}

/* __wrap_initgroups - as initgroups(3). */
int __wrap_initgroups(const char *user, gid_t group)
{
    gid_t groups[GROUPS_MAX];
    char text[ANSWER_MAX];
    size_t count = 0, length = strlen(user);

    pin();
    if (!groups_elsewhere() || !ask("initgroups", user, text) || strncmp(text, user, length))
        return __real_initgroups(user, group);
    groups[count++] = group;
    for (char *at = text + length, *end; count < GROUPS_MAX; at = end) {
        unsigned long number = strtoul(at, &end, 10);
        if (end == at)
            break;
        if ((gid_t)number != group)
            groups[count++] = (gid_t)number;
    }
    return setgroups(count, groups);
}

/* __wrap_getgrouplist - as getgrouplist(3), from the files; CPython's posix module has it, no program calls it. */
int __wrap_getgrouplist(const char *user, gid_t group, gid_t *groups, int *count)
{
    pin();
    return __real_getgrouplist(user, group, groups, count);
}
