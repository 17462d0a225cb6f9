//! Keys come and go while the server runs; a bad file changes nothing.

use super::{KeysFile, bearer, make, row, with_keys};
use crate::harness::wait;
use crate::harness::wait::PATIENCE;

#[test]
fn a_new_key_starts_a_removed_one_stops_and_a_bad_file_changes_nothing() {
    let (one, two) = (make("one", "predict", &[]), make("two", "predict", &[]));
    let file = KeysFile::new(&[&one]);
    let mut server = with_keys(file.path()).start();
    let status = |key: &str| server.call(&bearer(row(), key)).status;
    assert_eq!((status(&one.key), status(&two.key)), (200, 401));
    file.replace(&[&two]);
    wait::until("the new key", PATIENCE, || (status(&two.key) == 200).then_some(()));
    assert_eq!(status(&one.key), 401, "a removed key stops at once");
    file.write("[[keys]]\nname = \"two\"\n");
    server.wait_for_metric("secret_reload_total", &[("secret", "keys"), ("result", "error")], 1.0);
    assert_eq!((status(&one.key), status(&two.key)), (401, 200), "the last good keys stay");
    server.wait_for_metric("secret_reload_total", &[("secret", "keys"), ("result", "ok")], 1.0);
    assert_eq!(server.terminate(), Some(0));
    let logged = server.process.stderr();
    let errors: Vec<&str> = logged.lines().filter(|line| line.contains("the keys file is wrong")).collect();
    assert_eq!(errors.len(), 1, "{logged}");
    assert!(errors[0].contains("entry 1") && errors[0].contains("`sha256`"), "{}", errors[0]);
}
