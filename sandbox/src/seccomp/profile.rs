//! Docker's default system call profile, as data: which calls are allowed, and under which conditions.
//!
//! The list is that of the profile which Docker and containerd ship (`seccomp/default.json` of moby/profiles), less
//! what depends on machines that [`super::tables`] does not know, and without its conditions on kernels older than
//! the ones kiln runs on. [`super::filter`] turns it into a program.

use rustix::thread::CapabilitySet;

/// What happens to a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It runs.
    Allow,
    /// It fails with this error number.
    Fail(u16),
    /// It runs if this argument (its low 32 bits, which is all that the kernel reads of these) is one of the values,
    /// and fails with `EPERM` otherwise.
    AllowValues { argument: u8, values: &'static [u32] },
    /// It runs if this argument has none of the bits, and fails with `EPERM` otherwise.
    AllowWithoutBits { argument: u8, bits: u32 },
}

/// "Operation not permitted", in the width that a filter returns.
pub(super) const EPERM: u16 = 1;

/// "Function not implemented".
const ENOSYS: u16 = 38;

/// The error of everything that is not allowed.
pub(super) const REFUSED: Action = Action::Fail(EPERM);

/// The error of what the kernel would not know either. Programs fall back to older calls on it, and on it only.
pub(super) const UNKNOWN: Action = Action::Fail(ENOSYS);

/// Always allowed. Names that a machine does not have mean nothing there.
pub(super) const ALLOWED: &str = "
    _llseek _newselect accept accept4 access adjtimex alarm arch_prctl bind brk cachestat capget capset chdir
    chmod chown chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime
    clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range creat dup
    dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
    epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64
    fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync
    fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync
    ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat
    get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid
    getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom
    getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid
    gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1
    inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit
    ioctl ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown
    lchown32 lgetxattr link linkat listen listmount listxattr listxattrat llistxattr lremovexattr lseek
    lsetxattr lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat
    mknod mknodat mlock mlock2 mlockall mmap mmap2 modify_ldt mprotect mq_getsetattr mq_notify mq_open
    mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget
    msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat open openat openat2
    pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64
    prctl pread64 preadv preadv2 prlimit64 process_mrelease process_vm_readv process_vm_writev pselect6
    pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recvfrom recvmmsg
    recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 restart_syscall
    rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min
    sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield
    seccomp select semctl semget semop semtimedop semtimedop_time64 sendfile sendfile64 sendmmsg sendmsg sendto
    set_robust_list set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32
    setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid
    setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr setxattrat shmat shmctl
    shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall socketpair splice stat
    stat64 statfs statfs64 statmount statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time
    timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
    timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate
    truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork
    vmsplice wait4 waitid waitpid write writev
";

/// Allowed to those who have one of the capabilities.
pub(super) const PRIVILEGED: [(CapabilitySet, &str); 14] = [
    (CapabilitySet::DAC_READ_SEARCH, "open_by_handle_at"),
    (
        CapabilitySet::SYS_ADMIN,
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr
        lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd
        setdomainname sethostname setns syslog umount umount2 unshare",
    ),
    (CapabilitySet::SYS_BOOT, "reboot"),
    (CapabilitySet::SYS_CHROOT, "chroot"),
    (CapabilitySet::SYS_MODULE, "delete_module finit_module init_module"),
    (CapabilitySet::SYS_PACCT, "acct"),
    (CapabilitySet::SYS_PTRACE, "kcmp pidfd_getfd process_madvise"),
    (CapabilitySet::SYS_RAWIO, "ioperm iopl"),
    (CapabilitySet::SYS_TIME, "clock_settime clock_settime64 settimeofday stime"),
    (CapabilitySet::SYS_TTY_CONFIG, "vhangup"),
    (CapabilitySet::SYS_NICE, "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    (CapabilitySet::SYSLOG, "syslog"),
    (CapabilitySet::BPF, "bpf"),
    (CapabilitySet::PERFMON, "perf_event_open"),
];

/// The name spaces that clone may not make: all but time, which has no bit of its own in clone's flags.
const NAMESPACES: u32 = 0x7e02_0000;

/// Linux's default personality, 32-bit machine name, and either without address space randomisation; and the question
/// which one it is.
const PERSONALITIES: [u32; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Address families of sockets. Left out are those that no longer exist, AF_ALG (kernel cryptography) and AF_VSOCK
/// (reaches the hypervisor and other guests around every network namespace).
const FAMILIES: [u32; 37] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33,
    35, 36, 39, 41, 42, 43, 44, 45,
];

/// Calls whose arguments matter, or that fail in another way, to those without CAP_SYS_ADMIN.
pub(super) const CONDITIONAL: [(&str, Action); 4] = [
    ("clone", Action::AllowWithoutBits { argument: 0, bits: NAMESPACES }),
    // Its flags lie behind a pointer that a filter cannot follow, so C libraries are made to use clone instead.
    ("clone3", UNKNOWN),
    ("personality", Action::AllowValues { argument: 0, values: &PERSONALITIES }),
    ("socket", Action::AllowValues { argument: 0, values: &FAMILIES }),
];

/// The action for a call of this name; `None` where the profile does not name it.
pub(super) fn actions(capabilities: CapabilitySet) -> impl Iterator<Item = (&'static str, Action)> {
    let refused = PRIVILEGED.iter().filter(move |(needed, _)| !capabilities.intersects(*needed));
    let allowed = PRIVILEGED.iter().filter(move |(needed, _)| capabilities.intersects(*needed));
    let each = |(_, names): &'static (CapabilitySet, &'static str)| names.split_whitespace();
    // In order of weight: what comes later counts.
    refused
        .flat_map(each)
        .map(|name| (name, REFUSED))
        .chain(CONDITIONAL)
        .chain(ALLOWED.split_whitespace().map(|name| (name, Action::Allow)))
        .chain(allowed.flat_map(each).map(|name| (name, Action::Allow)))
}
