//! Daemons whose clock is wrong. Included by `#[path]`.
//!
//! Linux has namespaces for running time but none for the system clock, so a small library in front of libc's shifts what one process
//! reads of it. Running time is left alone, as on a machine whose battery is empty.
#![allow(dead_code, clippy::unwrap_used, reason = "a part for each test binary; it fails by panic")]

use std::{
    path::PathBuf,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t shift(void) {
    const char *seconds = getenv("LAB_CLOCK_SHIFT");
    return seconds ? (time_t)atoll(seconds) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += shift();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int result = (int)syscall(SYS_gettimeofday, now, zone);
    if (result == 0) now->tv_sec += shift();
    return result;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
"#;

/// The library, compiled.
pub(crate) struct ClockShim {
    folder: tempfile::TempDir,
}

impl ClockShim {
    /// Compiles it.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("clock.c");
        std::fs::write(&source, SOURCE).unwrap();
        let shim = Self { folder };
        let output = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(shim.library()).arg(source).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        shim
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("clock.so")
    }

    /// The variables of a process whose clock is ahead by so many seconds.
    pub(crate) fn ahead(&self, seconds: i64) -> [(&'static str, String); 2] {
        [("LD_PRELOAD", self.library().to_str().unwrap().to_owned()), ("LAB_CLOCK_SHIFT", seconds.to_string())]
    }

    /// The variables of a process that has just started in 1970.
    pub(crate) fn in_1970(&self) -> [(&'static str, String); 2] {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        self.ahead(-i64::try_from(now).unwrap())
    }
}
