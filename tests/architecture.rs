//! The rules of ARCHITECTURE.md that a compiler doesn't check: which package may use which, what the engine may touch, who reads the
//! clock, under which licences the packages stand, whether links between documents lead somewhere.
//!
//! Each check is a pure function over text, so that the tests at the end can show that it finds what it is for. Nothing here reaches a
//! network: whoever could build this test has every package that `cargo` is asked about.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "what can't be read fails the test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// The packages of this workspace; each may use those before it, never those after it.
const ORDER: [&str; 4] = ["hedgerow-transports", "hedgerow-sync", "hedgerow-tui", "hedgerow"];

/// What the two libraries never hold without features: runtimes, sockets, radios, Tor, databases, screens. A name that ends in `-`
/// stands for all that begin so.
const NOT_WITHOUT_FEATURES: [&str; 21] = [
    "tokio",
    "tokio-",
    "async-",
    "smol",
    "mio",
    "futures-",
    "polling",
    "mdns-sd",
    "if-addrs",
    "socket2",
    "bluer",
    "btleplug",
    "zbus",
    "dbus",
    "arti-",
    "tor-",
    "rusqlite",
    "libsqlite3-sys",
    "ratatui",
    "crossterm",
    "clap",
];

/// Licences that the program may be distributed under the terms of; only those that some package needs.
const LICENCES: [&str; 6] = ["Apache-2.0", "BSD-3-Clause", "ISC", "MIT", "Unicode-3.0", "Zlib"];

/// Packages that never enter the tree: TLS and cryptography belong to the Rust primitives that docs/protocol.md names.
const BANNED: [&str; 3] = ["native-tls", "openssl", "openssl-probe"];

/// Bindings to OpenSSL are for SQLCipher alone: (package, the only one that may use it).
const ONLY_USED_BY: [(&str, &str); 2] = [("openssl-sys", "libsqlite3-sys"), ("openssl-src", "openssl-sys")];

/// Folders and files of the sans-IO core.
const SANS_IO: [&str; 9] = [
    "sync/src/engine",
    "sync/src/wire",
    "sync/src/crypto",
    "sync/src/reconcile",
    "sync/src/session",
    "sync/src/sim",
    "sync/src/id.rs",
    "sync/src/time.rs",
    "sync/src/view",
];

/// What the sans-IO core doesn't name: the world outside it, other clocks, other randomness.
const NOT_IN_SANS_IO: [&str; 16] = [
    "std::net",
    "std::fs",
    "std::thread",
    "std::env",
    "std::process",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio",
    "rusqlite",
    "getrandom",
    "OsRng",
    "SysRng",
    "ThreadRng",
    "thread_rng",
    "Instant::now",
    "SystemTime::now",
];

/// How a clock is read.
const CLOCKS: [&str; 2] = ["Instant::now", "SystemTime::now"];

/// Where a clock may be read: in its own module, in the timers of the runtime that the LAN transport runs on, and where the simulator's
/// program says how long a run took.
const MAY_READ_A_CLOCK: [&str; 3] = ["src/daemon/clock.rs", "transports/src/lan", "sync/src/bin/sim/clock.rs"];

// The rules, over this tree.

#[test]
fn packages_use_only_what_stands_to_their_left() {
    let metadata = metadata();
    let arrows = own_arrows(&metadata);
    assert!(arrows.contains(&("hedgerow-sync".into(), "hedgerow-transports".into())), "the manifests were not read: {arrows:?}");
    assert_eq!(wrong_arrows(&arrows), Vec::<String>::new());
    assert_eq!(wrong_manifests(&metadata), Vec::<String>::new());
}

#[test]
fn libraries_without_features_hold_no_runtime_radio_or_database() {
    for package in ["hedgerow-transports", "hedgerow-sync"] {
        let tree = cargo(&["tree", "-p", package, "--no-default-features", "-e", "normal", "--prefix", "none", "--locked", "--offline"]);
        assert!(tree.starts_with(package), "cargo tree answered {tree:?}");
        assert_eq!(named_packages(&tree, &NOT_WITHOUT_FEATURES), Vec::<String>::new(), "in {package}");
    }
}

#[test]
fn licences_fit_and_none_is_allowed_for_nothing() {
    let metadata = metadata();
    assert_eq!(wrong_licences(&metadata), Vec::<String>::new());
    let needed: BTreeSet<&str> = packages(&metadata).filter_map(|package| package["license"].as_str()).flat_map(licence_words).collect();
    for licence in LICENCES {
        assert!(needed.contains(licence), "no package needs {licence} any more: take it off the list");
    }
}

#[test]
fn no_banned_package_or_foreign_source_is_in_the_tree() {
    assert_eq!(wrong_packages(&metadata()), Vec::<String>::new());
}

#[test]
fn the_sans_io_core_names_nothing_of_the_world_outside() {
    let mut read = 0;
    let mut found = Vec::new();
    for (path, source) in sources().iter().filter(|(path, _)| SANS_IO.iter().any(|part| path.starts_with(part))) {
        read += 1;
        found.extend(named(path, source, &NOT_IN_SANS_IO));
    }
    assert!(read >= SANS_IO.len(), "only {read} files of the core were found");
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn only_the_clock_module_reads_a_clock() {
    let sources = sources();
    assert!(!sources.is_empty());
    let found: Vec<String> = sources
        .iter()
        .filter(|(path, _)| !MAY_READ_A_CLOCK.iter().any(|part| path.starts_with(part)))
        .flat_map(|(path, source)| named(path, source, &CLOCKS))
        .collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_crate_root_forbids_unsafe_code() {
    let metadata = metadata();
    let roots: Vec<&str> = own_packages(&metadata)
        .flat_map(|package| list(&package["targets"]))
        .filter(|target| list(&target["kind"]).any(|kind| kind == "lib" || kind == "bin"))
        .filter_map(|target| target["src_path"].as_str())
        .collect();
    assert!(roots.len() >= 3, "crate roots: {roots:?}");
    for root in roots {
        assert!(forbids_unsafe(&fs::read_to_string(root).unwrap()), "{root} doesn't open with #![forbid(unsafe_code)]");
    }
}

#[test]
fn relative_links_between_documents_lead_to_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = documents(root);
    assert!(documents.len() >= 10, "only {} documents were found", documents.len());
    let dead: Vec<String> = documents.iter().flat_map(|path| dead_links(path, &fs::read_to_string(path).unwrap())).collect();
    assert_eq!(dead, Vec::<String>::new());
}

// The checks.

/// The (user, used) pairs among the packages of this workspace; what tests use of their own package is left out.
fn own_arrows(metadata: &Value) -> Vec<(String, String)> {
    own_packages(metadata)
        .flat_map(|package| {
            let user = text(&package["name"]);
            list(&package["dependencies"]).map(move |used| (user.to_owned(), text(&used["name"]).to_owned()))
        })
        .filter(|(user, used)| user != used && used.starts_with("hedgerow"))
        .collect()
}

/// The pairs that point to the right, or to a package without a place in [`ORDER`].
fn wrong_arrows(arrows: &[(String, String)]) -> Vec<String> {
    let place = |name: &str| ORDER.iter().position(|other| *other == name);
    arrows
        .iter()
        .filter(|(user, used)| !matches!((place(user), place(used)), (Some(user), Some(used)) if used < user))
        .map(|(user, used)| format!("{user} must not use {used}"))
        .collect()
}

/// What the manifests of this workspace say that they shouldn't: `sync` with features of `transports`, versions left open, no
/// `rust-version`.
fn wrong_manifests(metadata: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in own_packages(metadata) {
        let name = text(&package["name"]);
        if package["rust_version"].is_null() {
            wrong.push(format!("{name} states no rust-version"));
        }
        for used in list(&package["dependencies"]) {
            let used_name = text(&used["name"]);
            if used["path"].is_null() && text(&used["req"]) == "*" {
                wrong.push(format!("{name} takes any version of {used_name}"));
            }
            let shipped = used["kind"].is_null();
            if name == "hedgerow-sync" && used_name == "hedgerow-transports" && shipped && list(&used["features"]).next().is_some() {
                wrong.push(format!("{name} turns on features of {used_name}"));
            }
        }
    }
    wrong
}

/// The packages in the output of `cargo tree --prefix none` that `names` means.
fn named_packages(tree: &str, names: &[&str]) -> Vec<String> {
    let means = |name: &str, package: &str| if name.ends_with('-') { package.starts_with(name) } else { package == name };
    let found: BTreeSet<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|package| names.iter().any(|name| means(name, package)))
        .collect();
    found.into_iter().map(str::to_owned).collect()
}

/// The packages whose licence can't be met with [`LICENCES`].
fn wrong_licences(metadata: &Value) -> Vec<String> {
    packages(metadata)
        .filter(|package| !package["license"].as_str().is_some_and(|licence| licence_fits(licence, &LICENCES)))
        .map(|package| format!("{}: {}", text(&package["name"]), package["license"]))
        .collect()
}

/// Whether an SPDX expression (also with the old `/` for OR) can be met with `allowed`. A licence WITH an exception counts as itself.
fn licence_fits(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any_of(&mut rest, allowed) == Some(true) && rest.is_empty()
}

/// `a OR b OR …`; `None` where the words are no expression.
fn any_of(words: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let mut fits = all_of(words, allowed)?;
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        fits |= all_of(words, allowed)?;
    }
    Some(fits)
}

/// `a AND b AND …`, which binds more tightly than OR.
fn all_of(words: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let mut fits = one(words, allowed)?;
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        fits &= one(words, allowed)?;
    }
    Some(fits)
}

/// A licence, or an expression in brackets.
fn one(words: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let fits = any_of(words, allowed)?;
            let [")", rest @ ..] = *words else { return None };
            *words = rest;
            Some(fits)
        }
        [licence, "WITH", _, rest @ ..] => {
            *words = rest;
            Some(allowed.contains(licence))
        }
        ["OR" | "AND" | "WITH" | ")", ..] | [] => None,
        [licence, rest @ ..] => {
            *words = rest;
            Some(allowed.contains(licence))
        }
    }
}

/// The licences that an expression names.
fn licence_words(expression: &str) -> impl Iterator<Item = &str> {
    expression.split([' ', '(', ')', '/']).filter(|word| !matches!(*word, "" | "OR" | "AND" | "WITH"))
}

/// Packages that are banned, used by another than may use them, or come neither from the registry nor from this repository.
fn wrong_packages(metadata: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let root = Path::new(text(&metadata["workspace_root"]));
    for package in packages(metadata) {
        let name = text(&package["name"]);
        if BANNED.contains(&name) {
            wrong.push(format!("{name} is banned"));
        }
        let ours = Path::new(text(&package["manifest_path"])).starts_with(root);
        match package["source"].as_str() {
            None if ours => {}
            Some(source) if source.starts_with("registry+") => {}
            _ => wrong.push(format!("{name} comes from {}", package["source"])),
        }
    }
    for node in list(&metadata["resolve"]["nodes"]) {
        let user = name_of(metadata, text(&node["id"]));
        for used in list(&node["deps"]).map(|used| name_of(metadata, text(&used["pkg"]))) {
            if ONLY_USED_BY.iter().any(|(package, only)| *package == used && *only != user) {
                wrong.push(format!("{user} must not use {used}"));
            }
        }
    }
    wrong
}

/// The places in `source` that name one of `words`, in code or through a `use` with braces; comments and tests are left out.
fn named(path: &str, source: &str, words: &[&str]) -> Vec<String> {
    let code = without_tests_and_comments(source);
    let mut found: Vec<String> = code
        .lines()
        .enumerate()
        .flat_map(|(number, line)| {
            words.iter().filter(|word| has_word(line, word)).map(move |word| format!("{path}:{}: {word}", number + 1))
        })
        .collect();
    for statement in use_statements(&code) {
        for used in expand(statement) {
            // What stands on a line as it is, has been found above.
            let grouped = words.iter().filter(|word| has_word(&used, word) && !has_word(statement, word));
            found.extend(grouped.map(|word| format!("{path}: use of {word}")));
        }
    }
    found
}

/// The modules that `source` declares for tests only, in files of their own: their paths without `.rs`.
fn test_modules(path: &str, source: &str) -> Vec<String> {
    let folder = ["/mod.rs", "/lib.rs", "/main.rs", ".rs"].iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path);
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let name = |pair: &[&str]| match pair[0] {
        "#[cfg(test)]" => pair[1].strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned),
        _ => None,
    };
    lines.windows(2).filter_map(name).map(|name| format!("{folder}/{name}")).collect()
}

/// The code of a file: comments blanked, and from the test module at its end nothing.
fn without_tests_and_comments(source: &str) -> String {
    let lines: Vec<&str> = source.lines().collect();
    let is_test_module = |pair: &[&str]| pair[0].trim() == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{');
    let end = lines.windows(2).position(is_test_module).unwrap_or(lines.len());
    lines[..end].iter().map(|line| line.split_once("//").map_or(*line, |(code, _)| code)).collect::<Vec<_>>().join("\n")
}

/// Whether `word` stands in `line` and is not a part of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    let part = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(word).any(|(start, _)| !line[..start].ends_with(part) && !line[start + word.len()..].starts_with(part))
}

/// What stands between `use` and `;`.
fn use_statements(code: &str) -> impl Iterator<Item = &str> {
    code.match_indices("use ")
        .filter(|(start, _)| code[..*start].ends_with(['\n', ' ', ')']) || *start == 0)
        .filter_map(|(start, word)| code[start + word.len()..].split_once(';'))
        .map(|(statement, _)| statement)
}

/// The single paths that a `use` with braces stands for.
fn expand(statement: &str) -> Vec<String> {
    let Some((head, rest)) = statement.split_once('{') else {
        return vec![statement.split_whitespace().next().unwrap_or_default().to_owned()];
    };
    let head = head.trim();
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let mut depth = 0_usize;
    let parts = inner.split(|letter| {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    });
    parts.flat_map(|part| expand(part.trim())).filter(|path| !path.is_empty()).map(|path| format!("{head}{path}")).collect()
}

/// Whether the first line that is neither empty nor a comment forbids unsafe code.
fn forbids_unsafe(source: &str) -> bool {
    let mut code = source.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    code.next() == Some("#![forbid(unsafe_code)]")
}

/// The relative links in the Markdown of `path` that lead to no file; what stands behind `#` is left out.
fn dead_links(path: &Path, markdown: &str) -> Vec<String> {
    let folder = path.parent().unwrap_or(path);
    let targets = markdown.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    let relative = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    let files = relative.map(|target| target.split('#').next().unwrap_or_default()).filter(|file| !file.is_empty());
    files.filter(|file| !folder.join(file).exists()).map(|file| format!("{}: {file}", path.display())).collect()
}

// Reading the tree.

/// The Markdown files at the root of the repository and below `docs`.
fn documents(root: &Path) -> Vec<PathBuf> {
    let folders = ["", "docs", "docs/design"].map(|folder| root.join(folder));
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "md")).collect()
}

/// Every Rust file that ships, with its path from the root of the repository: no tests, benchmarks or examples.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = ["src", "sync", "transports", "tui"].iter().map(|name| root.join(name)).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                if !matches!(name, "tests" | "benches" | "examples" | "target") {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                let relative = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                files.push((relative, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let for_tests: BTreeSet<String> = files.iter().flat_map(|(path, source)| test_modules(path, source)).collect();
    files.retain(|(path, _)| !for_tests.contains(path.trim_end_matches(".rs")));
    files
}

/// What cargo knows of this workspace and everything it uses on this platform, with all features.
fn metadata() -> Value {
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc -vV names its host");
    let arguments = ["metadata", "--format-version", "1", "--locked", "--offline", "--all-features", "--filter-platform", host];
    serde_json::from_str(&cargo(&arguments)).unwrap()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    list(&metadata["packages"])
}

fn own_packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    packages(metadata).filter(|package| list(&metadata["workspace_members"]).any(|member| *member == package["id"]))
}

fn name_of<'a>(metadata: &'a Value, id: &str) -> &'a str {
    packages(metadata).find(|package| package["id"] == id).map(|package| text(&package["name"])).unwrap_or_default()
}

/// Every check finds what it is for.
mod checks {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_arrow_to_the_right_is_found() {
        let arrow = |user: &str, used: &str| (user.to_owned(), used.to_owned());
        assert_eq!(wrong_arrows(&[arrow("hedgerow-sync", "hedgerow-transports"), arrow("hedgerow", "hedgerow-sync")]).len(), 0);
        for (user, used) in [("hedgerow-transports", "hedgerow-sync"), ("hedgerow-sync", "hedgerow"), ("hedgerow", "hedgerow-extra")] {
            assert_eq!(wrong_arrows(&[arrow(user, used)]), [format!("{user} must not use {used}")]);
        }
    }

    #[test]
    fn features_of_transports_and_open_versions_are_found_in_manifests() {
        let metadata = json!({"workspace_members": ["s"], "packages": [{"id": "s", "name": "hedgerow-sync", "rust_version": null, "dependencies": [
            {"name": "hedgerow-transports", "req": "*", "path": "/p", "kind": null, "features": ["lan"]},
            {"name": "hedgerow-transports", "req": "*", "path": "/p", "kind": "dev", "features": ["memory"]},
            {"name": "serde", "req": "*", "path": null, "kind": null, "features": []},
        ]}]});
        let expected = [
            "hedgerow-sync states no rust-version",
            "hedgerow-sync turns on features of hedgerow-transports",
            "hedgerow-sync takes any version of serde",
        ];
        assert_eq!(wrong_manifests(&metadata), expected);
        let arrows = own_arrows(&metadata);
        assert_eq!(arrows.len(), 2, "{arrows:?}");
    }

    #[test]
    fn a_runtime_in_a_tree_is_found_and_a_like_name_is_not() {
        let tree = "hedgerow-sync v0.1.0 (/src)\ntokio v1.0.0\ntokio-util v0.7.0\nserde v1.0.0\nbluer v0.17.0\narti-client v0.47.0\n";
        assert_eq!(named_packages(tree, &NOT_WITHOUT_FEATURES), ["arti-client", "bluer", "tokio", "tokio-util"]);
        assert_eq!(named_packages("mio-like v1.0.0\ntorrent v1.0.0\n", &NOT_WITHOUT_FEATURES), Vec::<String>::new());
    }

    #[test]
    fn licence_expressions_are_understood() {
        for fits in ["MIT", "MIT/GPL-3.0", "GPL-3.0 OR MIT", "(MIT OR GPL-3.0) AND ISC", "Apache-2.0 WITH LLVM-exception OR GPL-2.0"] {
            assert!(licence_fits(fits, &LICENCES), "{fits}");
        }
        let refused = ["GPL-3.0", "MIT AND GPL-3.0", "GPL-3.0 OR MIT AND AGPL-3.0", "(MIT", "MIT ISC", "OR", ""];
        for refused in refused {
            assert!(!licence_fits(refused, &LICENCES), "{refused}");
        }
        let metadata =
            json!({"packages": [{"name": "a", "license": "GPL-3.0"}, {"name": "b", "license": null}, {"name": "c", "license": "MIT"}]});
        assert_eq!(wrong_licences(&metadata), ["a: \"GPL-3.0\"", "b: null"]);
    }

    #[test]
    fn banned_packages_and_foreign_sources_are_found() {
        let package =
            |name: &str, source: Value, manifest: &str| json!({"id": name, "name": name, "source": source, "manifest_path": manifest});
        let registry = || json!("registry+there");
        let metadata = json!({
            "workspace_root": "/tree",
            "packages": [
                package("hedgerow", Value::Null, "/tree/Cargo.toml"),
                package("elsewhere", Value::Null, "/other/Cargo.toml"),
                package("fork", json!("git+https://example.org/fork"), "/cache/fork/Cargo.toml"),
                package("native-tls", registry(), "/cache/native-tls/Cargo.toml"),
                package("openssl-sys", registry(), "/cache/openssl-sys/Cargo.toml"),
            ],
            "resolve": {"nodes": [{"id": "hedgerow", "deps": [{"pkg": "openssl-sys"}]}]},
        });
        let expected = [
            "elsewhere comes from null",
            "fork comes from \"git+https://example.org/fork\"",
            "native-tls is banned",
            "hedgerow must not use openssl-sys",
        ];
        assert_eq!(wrong_packages(&metadata), expected);
    }

    #[test]
    fn what_the_core_must_not_name_is_found() {
        let found = |source: &str| named("x.rs", source, &NOT_IN_SANS_IO);
        assert_eq!(found("use std::fs;"), ["x.rs:1: std::fs"]);
        assert_eq!(
            found("use std::{\n    fmt,\n    io::{self, Read},\n    net::{TcpStream},\n    time::{Duration, Instant},\n};").len(),
            2
        );
        assert_eq!(found("pub(crate) use std::{thread as t};"), ["x.rs: use of std::thread"]);
        assert_eq!(found("fn f() {\n    let now = Instant::now();\n}"), ["x.rs:2: Instant::now"]);
        assert_eq!(found("let rng = rand_core::OsRng;").len(), 1);
        assert_eq!(found("fn f(c: &rusqlite::Connection) {}").len(), 1);
    }

    #[test]
    fn what_the_core_may_name_is_let_pass() {
        let found = |source: &str| named("x.rs", source, &NOT_IN_SANS_IO);
        assert_eq!(found("use std::{fmt, time::Duration};\nuse crate::time::Instant;\n// SystemTime::now is not read\n").len(), 0);
        assert_eq!(found("let x = my_getrandom_like();\nlet y = std::fs_like;").len(), 0);
        assert_eq!(found("fn f() {}\n\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n").len(), 0);
        assert_eq!(found("#[cfg(test)]\nfn helper() {}\nuse std::fs;\n").len(), 1);
    }

    #[test]
    fn a_file_that_declares_its_tests_first_is_still_read() {
        let source = "#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod vectors;\nuse std::fs;\n";
        assert_eq!(named("x.rs", source, &NOT_IN_SANS_IO), ["x.rs:5: std::fs"]);
        assert_eq!(test_modules("sync/src/session/mod.rs", source), ["sync/src/session/tests", "sync/src/session/vectors"]);
        assert_eq!(test_modules("sync/src/wire/item.rs", "#[cfg(test)]\nmod tests;\n"), ["sync/src/wire/item/tests"]);
        assert_eq!(test_modules("sync/src/lib.rs", "mod tests;\n"), Vec::<String>::new());
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/page.md");
        let found = |text: &str| dead_links(&page, text).len();
        assert_eq!(found("[a](none.md) [b](../docs/none.md#part) [c](api.md)"), 2);
        assert_eq!(found("[a](../README.md) [b](design) [c](api.md#form) [d](#here) [e](https://example.org/x.md) (none.md)"), 0);
    }

    #[test]
    fn a_clock_is_found_in_any_spelling() {
        for source in ["let t = Instant::now();", "std::time::SystemTime::now()", "tokio::time::Instant::now()"] {
            assert_eq!(named("x.rs", source, &CLOCKS).len(), 1, "{source}");
        }
        assert_eq!(named("x.rs", "self.clock.now()", &CLOCKS).len(), 0);
    }

    #[test]
    fn a_crate_root_that_allows_unsafe_code_is_found() {
        assert!(forbids_unsafe("//! A crate.\n\n#![forbid(unsafe_code)]\nmod a;\n"));
        assert!(!forbids_unsafe("//! A crate.\nmod a;\n#![forbid(unsafe_code)]\n"));
        assert!(!forbids_unsafe("//! A crate.\n// #![forbid(unsafe_code)]\nfn main() {}\n"));
        assert!(!forbids_unsafe(""));
    }
}
