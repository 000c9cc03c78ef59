//! The command line: exit statuses, where settings come from, and folders that cannot be used.

use std::path::Path;

use serde_json::json;
use tests::program::{self, Server};

/// Wrong usage: status 2, words on standard error, nothing on standard output.
#[track_caller]
fn refused(ended: &program::Ended, words: &str) {
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    assert!(
        ended.stderr.contains(words),
        "`{words}` is not in: {}",
        ended.stderr
    );
}

/// Failure: status 1 and an error that is no panic.
#[track_caller]
fn failed(ended: &program::Ended, words: &str) {
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains(words),
        "`{words}` is not in: {}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[test]
fn wrong_usage_ends_with_status_2() {
    refused(&program::run::<_, &str>([]), "Usage");
    refused(&program::run(["serve", "--no-such-flag"]), "--no-such-flag");
    refused(&program::run(["vanish"]), "vanish");
    refused(&program::run(["token"]), "--sub");
    refused(
        &program::run(["token", "--sub", "ann", "--role", "king"]),
        "king",
    );
    refused(&program::run(["token", "--sub", "no spaces"]), "--sub");
    refused(
        &program::run(["token", "--sub", "ann", "--ttl", "soon"]),
        "soon",
    );
    refused(
        &program::run(["events", "--url", "http://127.0.0.1:1"]),
        "--token",
    );
    refused(
        &program::run(["events", "--follow", "--data", "nowhere"]),
        "--url",
    );
    refused(
        &program::run(["verify", "--store", "esdb://127.0.0.1:2113"]),
        "--store",
    );
    refused(
        &program::run(["serve", "--store", "esdb://127.0.0.1:port"]),
        "port",
    );
    refused(&program::run(["serve", "--store", "sqlite"]), "sqlite");
    refused(&program::run(["import"]), "FILE");
}

#[test]
fn a_value_that_cannot_be_meant_is_wrong_usage_wherever_it_comes_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("doorstep.toml");
    let (short, broken) = (folder.path().join("short"), folder.path().join("broken"));
    std::fs::write(&short, "too short\n").expect("a file");
    std::fs::write(&broken, "{\"keys\": [").expect("a file");
    let (short, broken) = (short.to_string_lossy(), broken.to_string_lossy());
    for (flag, value, words) in [
        ("listen", "bogus", "HOST:PORT"),
        ("listen", "127.0.0.1:65536", "HOST:PORT"),
        ("listen", ":7070", "HOST:PORT"),
        ("kurrent-listen", "bogus", "HOST:PORT"),
        ("kurrent-advertise", "bogus", "HOST:PORT"),
        ("segment-bytes", "1", "from 16384 to 1073741824"),
        ("segment-bytes", "1073741825", "from 16384 to 1073741824"),
        ("segment-bytes", "-1", "a whole number"),
        ("segment-bytes", "many", "a whole number"),
        ("cache-bytes", "1024", "from 1048576"),
        ("reserve-bytes", "99999999999999999999", "--reserve-bytes"),
        ("auth-key", &short, "at least 32"),
        ("auth-key", &broken, "not a JWKS"),
        ("auth-key", "nowhere", "No such file"),
        ("log", "==", "--log"),
        ("store", "sqlite", "neither `embedded`"),
    ] {
        let variable = format!("DOORSTEP_{}", flag.to_uppercase().replace('-', "_"));
        for command in ["serve", "config"] {
            let base = || {
                let mut command = program::doorstep([command]);
                command.current_dir(folder.path());
                command
            };
            let mut by_flag = base();
            let by_flag = program::ended(by_flag.arg(format!("--{flag}={value}")));
            refused(&by_flag, words);
            let name = format!("flag --{flag}");
            assert!(by_flag.stderr.contains(&name), "{}", by_flag.stderr);
            let by_variable = program::ended(base().env(&variable, value));
            refused(&by_variable, words);
            let name = format!("environment {variable}");
            assert!(by_variable.stderr.contains(&name), "{}", by_variable.stderr);
            let text = format!("{} = {value:?}\n", flag.replace('-', "_"));
            std::fs::write(&file, text).expect("a file");
            let by_file = program::ended(&mut base());
            refused(&by_file, words);
            let name = format!("file {}", file.display());
            assert!(by_file.stderr.contains(&name), "{}", by_file.stderr);
            std::fs::remove_file(&file).expect("the file");
        }
    }
    assert!(
        !folder.path().join("doorstep-data").exists(),
        "nothing was tried"
    );
}

#[test]
fn a_password_in_an_address_is_never_printed() {
    let mut command = program::doorstep(["config", "--url", "http://ann:secret@127.0.0.1:1"]);
    let shown = program::ended(&mut command).done().stdout;
    assert!(
        shown.contains("# url = \"http://(hidden)@127.0.0.1:1\""),
        "{shown}"
    );
    let ended = program::run(["config", "--store", "esdb://ann:secret@127.0.0.1:port"]);
    refused(&ended, "port");
    assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
    let shown = program::run(["config", "--store", "esdb://ann:secret@127.0.0.1:2113"]);
    let shown = shown.done().stdout;
    assert!(shown.contains("(hidden)@127.0.0.1:2113"), "{shown}");
}

#[test]
fn a_variable_that_is_no_setting_is_warned_of_once_with_the_one_that_may_be_meant() {
    let mut command = program::doorstep(["config"]);
    command
        .env("DOORSTEP_LISTNE", "127.0.0.1:1")
        .env("DOORSTEP_WEATHER", "fine")
        .env("DOORSTEP_SHARED_DATA", "/tmp")
        .env("DOORSTEP_KURRENT_URL", "esdb://127.0.0.1:2113");
    let words = program::ended(&mut command).done().stderr;
    let of = |name: &str| words.lines().filter(|line| line.contains(name)).count();
    assert_eq!((of("DOORSTEP_LISTNE"), of("DOORSTEP_WEATHER")), (1, 1));
    assert_eq!(words.lines().count(), 2, "{words}");
    assert!(
        words.contains("DOORSTEP_LISTNE is no setting; DOORSTEP_LISTEN is one"),
        "{words}"
    );
}

#[test]
fn help_and_version_end_with_status_0() {
    assert!(program::run(["--help"]).done().stdout.contains("serve"));
    assert!(
        program::run(["--version"])
            .done()
            .stdout
            .starts_with("doorstep ")
    );
    let help = program::run(["serve", "--help"]).done().stdout;
    assert!(
        help.contains("DOORSTEP_LISTEN"),
        "a flag's variable is told: {help}"
    );
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("doorstep.toml");
    std::fs::write(&file, "listen = \"file:1\"\ndata = \"from-file\"\nrole = [\"auditor\", \"operator\"]\nttl = \"2h\"\n")
        .expect("a file");
    let mut command = program::doorstep(["config", "--listen", "flag:1"]);
    command
        .current_dir(folder.path())
        .env("DOORSTEP_LISTEN", "env:1")
        .env("DOORSTEP_DATA", "from-env");
    command.env("DOORSTEP_TOKEN", "a-secret-that-nobody-sees");
    let shown = program::ended(&mut command).done().stdout;
    let line = |name: &str| {
        shown
            .lines()
            .find(|line| line.starts_with(&format!("{name} =")))
            .unwrap_or_else(|| panic!("{name}: {shown}"))
    };
    assert_eq!(line("listen"), "listen = \"flag:1\"  # flag --listen");
    assert_eq!(
        line("data"),
        "data = \"from-env\"  # environment DOORSTEP_DATA"
    );
    assert_eq!(
        line("role"),
        format!(
            "role = [\"auditor\", \"operator\"]  # file {}",
            file.display()
        )
    );
    assert_eq!(
        line("ttl"),
        format!("ttl = \"2h\"  # file {}", file.display())
    );
    assert_eq!(line("store"), "store = \"embedded\"  # default");
    assert_eq!(
        line("# token"),
        "# token = \"(hidden)\"  # environment DOORSTEP_TOKEN"
    );
    assert!(!shown.contains("a-secret"), "{shown}");
    let of_file = format!(
        "# config = \"{}\"  # default, doorstep.toml in this folder",
        file.display()
    );
    assert!(shown.lines().any(|line| line == of_file), "{shown}");
    assert!(
        shown.contains("# auth_key is not set  # default"),
        "{shown}"
    );
    for line in shown.lines() {
        assert!(line.contains("  # "), "without a source: {line}");
    }
    assert!(!shown.contains("test_faults"), "of tests: {shown}");
    shown
        .parse::<toml::Table>()
        .expect("what is printed is a configuration file");
}

#[test]
fn a_configuration_file_with_an_unknown_key_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for (content, words) in [
        (
            "listne = \"127.0.0.1:1\"\n",
            "unknown key `listne`; `listen` is one",
        ),
        ("config = \"other.toml\"\n", "unknown key `config`"),
        ("listen = [\"a:1\", \"b:2\"]\n", "`listen` takes one value"),
        ("listen = \n", "doorstep.toml"),
        ("listen = 1.5\n", "`listen`"),
        ("segment_bytes = \"many\"\n", "many"),
    ] {
        std::fs::write(folder.path().join("doorstep.toml"), content).expect("a file");
        let mut command = program::doorstep(["config", "--segment-bytes", "1"]);
        if words == "many" {
            command = program::doorstep(["config"]);
        }
        refused(&program::ended(command.current_dir(folder.path())), words);
    }
    refused(
        &program::run(["config", "--config", "/nowhere/doorstep.toml"]),
        "/nowhere/doorstep.toml",
    );
}

#[test]
fn a_folder_that_cannot_be_used_ends_in_a_clear_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "in place of a folder").expect("a file");
    // Root may write everywhere but here; everybody else has folders of others.
    let text = |path: &Path| path.to_string_lossy().into_owned();
    for data in [
        text(&file),
        text(&file.join("below")),
        "/proc/doorstep".to_owned(),
    ] {
        for command in ["serve", "import"] {
            let mut arguments = vec![command, "--data", &data];
            if command == "import" {
                arguments.push("/dev/null");
            }
            failed(&program::run(&arguments), &data);
        }
        failed(
            &program::run(["token", "--sub", "ann", "--data", &data]),
            &data,
        );
        failed(&program::run(["events", "--data", &data]), &data);
        failed(&program::run(["verify", "--data", &data]), &data);
    }
}

#[test]
fn reading_makes_no_log_where_there_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("nothing").to_string_lossy().into_owned();
    failed(&program::run(["events", "--data", &data]), "holds no log");
    failed(&program::run(["verify", "--data", &data]), "holds no log");
    failed(
        &program::run(["backup", &data, "--data", &data]),
        "holds no log",
    );
    assert!(!Path::new(&data).exists());
}

#[test]
fn a_folder_that_another_process_holds_is_refused_with_its_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let (data, id) = (
        data.to_string_lossy().into_owned(),
        format!("process {}", server.id()),
    );
    let told = program::run(["serve", "--listen", "127.0.0.1:0", "--data", &data]);
    failed(&told, &format!("{id} (doorstep serve); stop it first"));
    let told = program::run(["import", "/dev/null", "--data", &data]);
    failed(&told, &format!("{id} (doorstep serve); stop it first"));
    let told = program::run(["events", "--data", &data]);
    failed(&told, &format!("{id} (doorstep serve); ask it with --url"));
    failed(&program::run(["verify", "--data", &data]), &id);
    let copy = folder.path().join("copy").to_string_lossy().into_owned();
    failed(&program::run(["backup", &copy, "--data", &data]), &id);
    assert!(server.stop().success());
}

#[test]
fn the_signing_key_is_made_for_its_owner_alone_and_one_that_others_may_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let text = data.to_string_lossy().into_owned();
    program::run(["import", "/dev/null", "--data", &text]).done();
    let first = program::run(["token", "--sub", "ann", "--data", &text]).done();
    assert!(
        !first.stderr.contains("others may read"),
        "{}",
        first.stderr
    );
    let keys = data.join("keys");
    assert_eq!(
        std::fs::metadata(&keys)
            .expect("the key")
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o644)).expect("its owner may");
    let second = program::run(["token", "--sub", "ann", "--data", &text]).done();
    assert!(
        second.stderr.contains("others may read"),
        "{}",
        second.stderr
    );
    let short = folder.path().join("short");
    std::fs::write(&short, "too short\n").expect("a file");
    let short = short.to_string_lossy().into_owned();
    refused(
        &program::run([
            "token",
            "--sub",
            "ann",
            "--data",
            &text,
            "--auth-key",
            &short,
        ]),
        "at least 32",
    );
    // The folder's own key is no setting: that it cannot be used is a failure.
    std::fs::write(&keys, "too short\n").expect("the key");
    failed(
        &program::run(["token", "--sub", "ann", "--data", &text]),
        "at least 32",
    );
}

#[test]
fn an_empty_import_is_a_summary_of_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data").to_string_lossy().into_owned();
    let summary = program::run(["import", "/dev/null", "--data", &data])
        .done()
        .json();
    assert_eq!(
        summary,
        json!({"lines": 0, "carried_out": 0, "unchanged": 0, "refused": {}, "invalid": 0, "position": 0})
    );
}
