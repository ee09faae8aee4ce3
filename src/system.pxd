# Linux and libc: only the names bearwrap uses that Cython's own libc/posix declarations lack.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from posix.types cimport pid_t, uid_t, gid_t, off_t

cdef extern from "<errno.h>" nogil:
    int errno
    int EINTR, EAGAIN, EPERM, EPIPE, ECONNRESET, ENOENT, EACCES, ENOTDIR, EISDIR, EINVAL, ENOMEM, EMFILE, ENFILE, ENOBUFS
    int EEXIST, EPROTO, EBADF, ETIMEDOUT, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EINPROGRESS, ENOTSOCK, ENOTCONN
    int ENAMETOOLONG, EFBIG, ENOSYS, EOPNOTSUPP, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, ENETDOWN, EHOSTDOWN, E2BIG

cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    struct timespec:
        time_t tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC, CLOCK_REALTIME
    int clock_gettime(int clock, timespec *ts)

cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass
    ctypedef void (*sighandler_t)(int) noexcept nogil
    sighandler_t SIG_DFL, SIG_IGN
    int SIGPIPE, SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGKILL, SIGALRM, SIGSTOP, SIGURG, SIG_BLOCK, SIG_SETMASK
    sighandler_t signal(int signum, sighandler_t handler)
    int sigemptyset(sigset_t *s)
    int sigaddset(sigset_t *s, int signum)
    int sigprocmask(int how, const sigset_t *s, sigset_t *old)
    int raise_ "raise"(int sig)
    int kill(pid_t pid, int signum)

cdef extern from "<sys/signalfd.h>" nogil:
    int SFD_CLOEXEC, SFD_NONBLOCK
    struct signalfd_siginfo:
        uint32_t ssi_signo
        uint32_t ssi_pid
    int signalfd(int fd, const sigset_t *mask, int flags)

cdef extern from "<sys/epoll.h>" nogil:
    int EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD
    uint32_t EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR, EPOLLRDHUP, EPOLLET, EPOLLONESHOT
    ctypedef union epoll_data_t:
        uint32_t u32
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event *event)
    int epoll_wait(int epfd, epoll_event *events, int maxevents, int timeout)

cdef extern from "<poll.h>" nogil:
    short POLLIN, POLLERR, POLLHUP, POLLRDHUP
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *fds, unsigned long n, int timeout)

cdef extern from "<sys/eventfd.h>" nogil:
    int EFD_CLOEXEC, EFD_NONBLOCK
    int eventfd(unsigned int initval, int flags)

cdef extern from "<sys/mman.h>" nogil:
    int MFD_CLOEXEC
    int memfd_create(const char *name, unsigned int flags)
    int PROT_READ, PROT_WRITE, MAP_SHARED, MAP_PRIVATE, MAP_ANONYMOUS
    int MADV_DONTNEED, MADV_REMOVE, MADV_DONTFORK
    void *MAP_FAILED
    void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
    int munmap(void *addr, size_t length)
    int madvise(void *addr, size_t length, int advice)
    int mlock(const void *addr, size_t length)
    int MADV_DONTDUMP
    int mprotect(void *addr, size_t length, int prot)
    int madvise(void *addr, size_t length, int advice)

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len
    ssize_t readv(int fd, const iovec *iov, int n)
    ssize_t writev(int fd, const iovec *iov, int n)

cdef extern from "<sys/wait.h>" nogil:
    int WNOHANG, WNOWAIT, WEXITED, P_ALL, P_PID
    ctypedef struct siginfo_t:
        pid_t si_pid
    int waitid(int kind, unsigned int id, siginfo_t *info, int options)
    pid_t waitpid(pid_t pid, int *status, int options)
    int WIFEXITED(int status)
    int WEXITSTATUS(int status)
    int WTERMSIG(int status)

cdef extern from "<sched.h>" nogil:
    int CPU_SETSIZE
    ctypedef struct cpu_set_t:
        pass
    void CPU_ZERO(cpu_set_t *set)
    void CPU_SET(int cpu, cpu_set_t *set)
    int sched_getcpu()
    int sched_getaffinity(pid_t pid, size_t n, cpu_set_t *set)
    int sched_setaffinity(pid_t pid, size_t n, const cpu_set_t *set)

cdef extern from "<sys/prctl.h>" nogil:
    int PR_SET_NAME, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG
    int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)

cdef extern from "<sys/resource.h>" nogil:
    int RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_CORE, RLIMIT_DATA, RLIMIT_AS
    ctypedef unsigned long rlim_t
    struct rlimit:
        rlim_t rlim_cur
        rlim_t rlim_max
    int getrlimit(int resource, rlimit *lim)
    int setrlimit(int resource, const rlimit *lim)

cdef extern from "<sys/random.h>" nogil:
    ssize_t getrandom(void *buf, size_t len, unsigned int flags)

cdef extern from "<sys/socket.h>" nogil:
    int AF_UNIX, AF_INET, AF_INET6, SOCK_STREAM, SOCK_SEQPACKET, SOCK_CLOEXEC, SOCK_NONBLOCK, SOL_SOCKET, SO_ERROR
    int SHUT_RD, SHUT_WR, MSG_NOSIGNAL
    ctypedef unsigned int socklen_t
    struct sockaddr:
        unsigned short sa_family
    struct sockaddr_storage:
        unsigned short ss_family
    int socketpair(int domain, int type, int protocol, int *sv)
    int shutdown(int fd, int how)
    int getsockname(int fd, sockaddr *addr, socklen_t *len)
    int getpeername(int fd, sockaddr *addr, socklen_t *len)
    int MSG_DONTWAIT, MSG_TRUNC, MSG_CMSG_CLOEXEC
    ssize_t send(int fd, const void *buf, size_t n, int flags)
    int setsockopt(int fd, int level, int name, const void *value, socklen_t n)
    ssize_t recv(int fd, void *buf, size_t n, int flags)
    int socket(int domain, int type, int protocol)
    int connect(int fd, const sockaddr *addr, socklen_t len)
    int bind(int fd, const sockaddr *addr, socklen_t len)
    int listen(int fd, int backlog)
    int accept4(int fd, sockaddr *addr, socklen_t *len, int flags)
    int SOCK_DGRAM, SO_REUSEADDR, SO_ACCEPTCONN, SO_INCOMING_CPU, SCM_RIGHTS, IPPROTO_IPV6, IPV6_V6ONLY
    ssize_t sendto(int fd, const void *p, size_t n, int flags, const sockaddr *addr, socklen_t len)
    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    struct msghdr:
        void *msg_name
        socklen_t msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    cmsghdr *CMSG_FIRSTHDR(msghdr *m)
    unsigned char *CMSG_DATA(cmsghdr *c)
    size_t CMSG_LEN(size_t n)
    ssize_t sendmsg(int fd, const msghdr *m, int flags)
    ssize_t recvmsg(int fd, msghdr *m, int flags)
    int getsockopt(int fd, int level, int name, void *value, socklen_t *n)

cdef extern from "<sys/un.h>" nogil:
    struct sockaddr_un:
        unsigned short sun_family
        char sun_path[108]

cdef extern from "<net/if.h>" nogil:
    unsigned int if_nametoindex(const char *name)

cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        uint32_t s_addr
    struct in6_addr:
        uint8_t s6_addr[16]
    struct sockaddr_in:
        uint16_t sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        uint16_t sin6_port
        in6_addr sin6_addr
        uint32_t sin6_scope_id
    uint16_t ntohs(uint16_t n)
    uint16_t htons(uint16_t n)

cdef extern from "<netinet/tcp.h>" nogil:
    int IPPROTO_TCP, TCP_NODELAY

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int af, const char *src, void *dst)
    const char *inet_ntop(int af, const void *src, char *dst, socklen_t size)

cdef extern from "<fcntl.h>" nogil:
    unsigned int SPLICE_F_MOVE, SPLICE_F_NONBLOCK
    ssize_t splice(int source, off_t *off_in, int sink, off_t *off_out, size_t n, unsigned int flags)
    int O_RDONLY, O_WRONLY, O_RDWR, O_CLOEXEC, O_NONBLOCK, F_GETFL, F_SETFL, F_SETPIPE_SZ, F_SETOWN, F_SETSIG, F_DUPFD_CLOEXEC, O_ASYNC, O_NOCTTY, O_APPEND, O_CREAT, O_EXCL, O_DIRECTORY,\
        O_NOFOLLOW
    int O_ACCMODE, F_SETFD, FD_CLOEXEC
    int fcntl(int fd, int cmd, ...)
    int open_ "open"(const char *path, int flags, ...)
    int AT_FDCWD
    int openat(int folder, const char *path, int flags, ...)

cdef extern from "<dirent.h>" nogil:
    ctypedef struct DIR:
        pass
    struct dirent:
        char d_name[256]
    DIR *opendir(const char *path)
    int dirfd(DIR *folder)
    dirent *readdir(DIR *folder)
    int closedir(DIR *folder)

cdef extern from "<sys/ioctl.h>" nogil:
    unsigned long FIONBIO, FIONREAD, TIOCOUTQ
    int ioctl(int fd, unsigned long request, ...)

cdef extern from "<sys/stat.h>" nogil:
    struct stat_t "stat":
        uint64_t st_dev
        uint64_t st_ino
        unsigned int st_mode
        off_t st_size
        uid_t st_uid
        timespec st_ctim
    int fstat(int fd, stat_t *st)
    int mkdir(const char *path, unsigned int mode)
    int fstatat(int folder, const char *path, stat_t *st, int flags)
    int AT_SYMLINK_NOFOLLOW
    int S_ISREG(unsigned int mode)
    int S_ISSOCK(unsigned int mode)
    int S_ISDIR(unsigned int mode)
    int S_ISFIFO(unsigned int mode)

cdef extern from "<unistd.h>" nogil:
    pid_t fork()
    pid_t getpid()
    pid_t getppid()
    off_t lseek(int fd, off_t at, int whence)
    int SEEK_SET
    int ftruncate(int fd, off_t size)
    int setpgid(pid_t pid, pid_t group)
    int unlink(const char *path)
    ssize_t readlink(const char *path, char *text, size_t room)
    int renameat(int folder, const char *path, int new_folder, const char *new_path)
    int unlinkat(int folder, const char *path, int flags)
    uid_t geteuid()
    int seteuid(uid_t uid)
    int pipe2(int *fds, int flags)
    int dup2(int a, int b)
    int close(int fd)
    int close_range(unsigned first, unsigned last, int flags)
    long syscall(long number, ...)
    ssize_t read(int fd, void *buf, size_t n)
    ssize_t write(int fd, const void *buf, size_t n)
    void _exit(int status)
    int chdir(const char *path)
    int chroot(const char *path)
    int setuid(uid_t uid)
    int setgid(gid_t gid)
    int execvpe(const char *file, char **argv, char **variables)
    char **environ
    int execv(const char *file, char **argv)

cdef extern from "<grp.h>" nogil:
    int setgroups(size_t n, const gid_t *list)
    int initgroups(const char *user, gid_t group)

cdef extern from "<pwd.h>" nogil:
    struct passwd:
        char *pw_name
        uid_t pw_uid
        gid_t pw_gid
        char *pw_dir
        char *pw_shell
    passwd *getpwnam(const char *name)

cdef extern from "<stdlib.h>" nogil:
    int setenv(const char *name, const char *value, int overwrite)
    int unsetenv(const char *name)
    char *getenv(const char *name)

cdef extern from "<alloca.h>" nogil:
    void *alloca(size_t n)

cdef extern from "<string.h>" nogil:
    char *strerror(int number)
    char *strrchr(const char *text, int c)
    void *memmem(const void *hay, size_t haylen, const void *needle, size_t needlelen)
    void explicit_bzero(void *p, size_t n)

# fork without the C library's handlers and locks, where no process has a second thread: each of its pages that is
# written costs a child 2 us.
cdef extern from *:
    """
    #include <unistd.h>
    #if defined __GLIBC__ && __GLIBC_PREREQ(2, 34)
    #define bw_fork _Fork
    #else
    #define bw_fork fork
    #endif
    """
    pid_t bw_fork() nogil

# C11 atomics on shared memory: one writer a cursor, acquire/release between producer and consumer.
cdef extern from *:
    """
    #include <stdint.h>
    #include <errno.h>
    #include <string.h>
    static inline void set_errno(int number) { errno = number; }
    static inline uint64_t bw_load_u64(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
    static inline void bw_store_u64(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
    static inline void bw_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
    /* Overwrite the stack below the caller, where called functions left what they worked with: 8.5 KiB at most with
       nettle and libsodium, whatever key and curve (tests/isolation/test_stack.py). BearSSL's own may go deeper. */
    #if defined BEARWRAP_NETTLE && defined BEARWRAP_SODIUM && defined NDEBUG
    enum { BW_WIPED = 12288 };
    #else
    enum { BW_WIPED = 24576 };
    #endif
    __attribute__((noinline)) static void bw_wipe_stack(void) {
        unsigned char below[BW_WIPED];
        explicit_bzero(below, sizeof below);
    }
    #ifdef BEARWRAP_TEST_HOOKS
    #include <signal.h>
    #include <stdlib.h>
    static inline void bw_test_stop(const char *where) {
        const char *want = getenv("BEARWRAP_TEST_STOP");
        if (want != NULL && strcmp(want, where) == 0) raise(SIGSTOP);
    }
    static inline uint64_t bw_test_number(const char *name, uint64_t normal) {
        const char *text = getenv(name);
        return text != NULL ? strtoull(text, NULL, 10) : normal;
    }
    #else
    static inline void bw_test_stop(const char *where) { (void)where; }
    static inline uint64_t bw_test_number(const char *name, uint64_t normal) { (void)name; return normal; }
    #endif
    """
    void set_errno(int number) nogil
    uint64_t bw_load_u64(const uint64_t *p) nogil
    void bw_store_u64(uint64_t *p, uint64_t v) nogil
    void bw_fence() nogil
    void bw_wipe_stack() nogil
    void bw_test_stop(const char *where) nogil
    uint64_t bw_test_number(const char *name, uint64_t normal) nogil
