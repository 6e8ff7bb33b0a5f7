//! The built program as tests use it: homes in temporary folders, daemons that end with the test, waits that end.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a part for each test binary")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use serde_json::Value;

/// How long anything may take before the test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The built program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_hedgerow");

/// A home for one profile, with its passphrase beside it.
pub struct Home {
    /// What the home lies on, if it is a disk of its own; gone before the folder.
    disk: Option<Disk>,
    folder: tempfile::TempDir,
    home: PathBuf,
}

impl Home {
    /// A home that does not exist yet.
    pub fn empty() -> Self {
        Self::named("home")
    }

    /// A home that does not exist yet, at this path below a temporary folder.
    pub fn named(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("passphrase"), "correct horse\n").unwrap();
        fs::write(folder.path().join("wrong"), "incorrect horse\n").unwrap();
        let home = folder.path().join(name);
        Self { disk: None, folder, home }
    }

    /// A home with a fresh profile.
    pub fn with_profile(name: &str) -> Self {
        let home = Self::empty();
        home.ok(&["init", "--name", name]);
        home
    }

    /// A home with a fresh profile on a disk of so many bytes of its own. Needs root.
    pub fn on_small_disk(name: &str, bytes: u64) -> Self {
        let mut home = Self::named("disk/home");
        home.disk = Some(Disk::mount(home.beside("disk"), bytes));
        home.ok(&["init", "--name", name]);
        home
    }

    /// The disk of its own that the home lies on.
    pub fn disk(&self) -> &Disk {
        self.disk.as_ref().expect("a disk of its own")
    }

    /// The home's path.
    pub fn path(&self) -> &Path {
        &self.home
    }

    /// A path beside the home.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program on this home.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.env_clear();
        self.prepare(&mut command, arguments);
        command
    }

    fn prepare(&self, command: &mut Command, arguments: &[&str]) {
        command
            .args(arguments)
            .env("HEDGEROW_HOME", &self.home)
            .env("HEDGEROW_PASSPHRASE_FILE", self.beside("passphrase"))
            .env("TMPDIR", self.folder.path())
            .stdin(Stdio::null());
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        finish(self.command(arguments))
    }

    /// Runs the program, which must succeed, and gives what it printed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs the program with `--json`, which must succeed, and gives its document.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let printed = self.ok(&[arguments, &["--json"]].concat());
        assert_eq!(printed.lines().count(), 1, "one document on one line: {printed}");
        serde_json::from_str(&printed).unwrap()
    }

    /// Runs the program, which must fail with this code, and gives what it said.
    pub fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
        said
    }

    /// Starts a daemon and waits until it is ready.
    pub fn daemon(&self, arguments: &[&str]) -> Daemon {
        self.start(self.command(&[&["daemon", "--json"], arguments].concat()))
    }

    /// Starts a daemon by a command that becomes [`PROGRAM`], such as `ip netns exec`, and waits until it is ready.
    pub fn daemon_by(&self, mut command: Command, arguments: &[&str]) -> Daemon {
        self.prepare(&mut command, &[&["daemon", "--json"], arguments].concat());
        self.start(command)
    }

    fn start(&self, mut command: Command) -> Daemon {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        let errors = lines_of_errors(&mut child);
        let mut daemon = Daemon { child, errors, listen: Vec::new() };
        let ready = lines.recv_timeout(PATIENCE).expect("the daemon is not ready");
        let ready: Value = serde_json::from_str(&ready).unwrap();
        assert_eq!(ready["ready"], true);
        daemon.listen = ready["listen"].as_array().unwrap().iter().map(|address| address.as_str().unwrap().to_owned()).collect();
        daemon
    }

    /// Connects to the daemon's socket.
    pub fn socket(&self) -> Connection {
        Connection::open(&self.home.join("socket"))
    }
}

/// A file system in memory. It is gone when this is dropped.
pub struct Disk(PathBuf);

impl Disk {
    fn mount(place: PathBuf, bytes: u64) -> Self {
        fs::create_dir(&place).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=0700"), "hedgerow-lab"]).arg(&place);
        let output = finish(command);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self(place)
    }

    /// Leaves no room on it: fills what is free with one file.
    pub fn fill(&self) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.0.join("filler")).unwrap();
        for size in [64 << 10, 4 << 10, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }

    /// Makes room again.
    pub fn free(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Runs a program to its end, which must come.
pub fn finish(mut command: Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    let (out, err) = (collect(child.stdout.take().unwrap()), collect(child.stderr.take().unwrap()));
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait()));
    match ended.recv_timeout(PATIENCE) {
        Ok(status) => Output { status: status.unwrap(), stdout: out.recv().unwrap(), stderr: err.recv().unwrap() },
        Err(_) => {
            Command::new("kill").args(["-9", &id.to_string()]).status().unwrap();
            panic!("{command:?} did not end");
        }
    }
}

fn collect(mut stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        sender.send(bytes)
    });
    receiver
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || BufReader::new(stream).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    receiver
}

fn lines_of_errors(child: &mut Child) -> Receiver<String> {
    lines(child.stderr.take().unwrap())
}

/// A running daemon; it is killed when the test is done with it.
pub struct Daemon {
    child: Child,
    errors: Receiver<String>,
    /// The addresses it listens on.
    pub listen: Vec<String>,
}

impl Daemon {
    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it in order and gives its exit status.
    pub fn terminate(self) -> ExitStatus {
        Command::new("kill").args(["-TERM", &self.id().to_string()]).status().unwrap();
        self.ended()
    }

    /// Waits until it has ended and gives its exit status.
    pub fn ended(mut self) -> ExitStatus {
        let id = self.id().to_string();
        let (sender, ended) = mpsc::channel::<()>();
        let watchdog = thread::spawn(move || {
            let late = ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
            if late {
                Command::new("kill").args(["-9", &id]).status().unwrap();
            }
            late
        });
        let status = self.child.wait().unwrap();
        drop(sender);
        assert!(!watchdog.join().unwrap(), "the daemon does not end");
        status
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            self.errors.iter().for_each(|line| eprintln!("daemon: {line}"));
        }
    }
}

/// `hedgerow rpc` on this home: a line in, lines out.
pub struct Rpc {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Rpc {
    /// Starts it.
    pub fn start(home: &Home) -> Self {
        let mut child = home.command(&["rpc"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, lines) = (child.stdin.take().unwrap(), lines(child.stdout.take().unwrap()));
        Self { child, input, lines }
    }

    /// Sends a line.
    pub fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// The next line.
    pub fn hear(&self) -> Value {
        serde_json::from_str(&self.lines.recv_timeout(PATIENCE).expect("no answer")).unwrap()
    }
}

impl Drop for Rpc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection to a daemon's socket.
pub struct Connection {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Connection {
    /// Opens it.
    pub fn open(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Self { stream, reader }
    }

    /// Sends bytes as they are; `false` if the daemon has closed the connection.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next line; `None` at the end.
    pub fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
        }
    }

    /// Sends a line and gives the next one.
    pub fn ask(&mut self, line: &str) -> Value {
        assert!(self.send(line.as_bytes()) && self.send(b"\n"));
        self.line().unwrap()
    }
}
