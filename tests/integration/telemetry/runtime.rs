//! ONNX Runtime's own telemetry stays off: nothing is written anywhere, nobody is called.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::json;

use crate::harness::{Repository, Request, Server, settings};

/// Every file below a folder.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Inodes of the sockets that a process holds.
fn sockets(id: u32) -> BTreeSet<String> {
    let descriptors = fs::read_dir(format!("/proc/{id}/fd")).unwrap();
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets
        .filter_map(|target| {
            Some(target.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned())
        })
        .collect()
}

/// The lines of `/proc/<id>/net/<table>` that belong to the process.
fn own_lines(id: u32, table: &str, inode_column: usize) -> Vec<Vec<String>> {
    let own = sockets(id);
    let text = fs::read_to_string(format!("/proc/{id}/net/{table}")).unwrap_or_default();
    let lines =
        text.lines().skip(1).map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    lines.filter(|fields| fields.get(inode_column).is_some_and(|inode| own.contains(inode))).collect()
}

#[test]
fn no_file_is_written_and_no_socket_is_opened() {
    let server = Server::builder()
        .models(settings::package("models/fraud-detector"))
        .repository(Repository::new().fixture("add-one"))
        .start();
    for _ in 0..20 {
        server.call(&Request::json("/predict/add-one", &json!([1, 2, 3]))).ok();
    }
    let id = server.process.id();
    let ours = [server.http.port(), server.admin.port()];
    for table in ["tcp", "tcp6"] {
        for fields in own_lines(id, table, 9) {
            let port = u16::from_str_radix(fields[1].rsplit(':').next().unwrap(), 16).unwrap();
            let listens = fields[3] == "0A";
            // gRPC may listen on a port of its own; whatever else there is belongs to our listeners.
            assert!(ours.contains(&port) || listens, "a connection to elsewhere: {fields:?}");
        }
    }
    for table in ["udp", "udp6", "raw"] {
        assert_eq!(own_lines(id, table, 9), Vec::<Vec<String>>::new(), "{table}");
    }
    let named_unix: Vec<_> = own_lines(id, "unix", 6).into_iter().filter(|fields| fields.len() > 7).collect();
    assert!(named_unix.is_empty(), "{named_unix:?}");
    assert_eq!(files(&server.folder.path().join("home")), [""; 0]);
    let mapped = fs::read_to_string(format!("/proc/{id}/maps")).unwrap();
    assert!(mapped.contains("libonnxruntime"), "the runtime really is in this process");
}
