//! `health`: the HEALTHCHECK of an image that has no shell and no curl.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use super::args::HealthArguments;
use super::{FAILED, Failure, config, print};
use crate::config::Sources;

const PATIENCE: Duration = Duration::from_secs(5);
/// The variable that says where the admin listener is, and the beginning of its `_FILE` form.
const ADDRESS: &str = "ML_INFERENCE_ADMIN__ADDR";

/// Asks a health route; 0 when it answers 200.
pub(super) fn run(arguments: &HealthArguments) -> Result<ExitCode, Failure> {
    let url = match &arguments.url {
        Some(url) => url.clone(),
        None => default_url()?,
    };
    let uri: http::Uri = url.parse().map_err(|error| Failure::usage(format!("--url {url}: {error}")))?;
    if uri.scheme_str() != Some("http") {
        // The admin listener speaks plain HTTP whatever the public one does.
        return Err(Failure::usage(format!(
            "--url {url}: expected an http:// URL, such as the admin listener's"
        )));
    }
    let status = ask(&uri).map_err(|error| Failure::failed(format!("{url}: {error}")))?;
    print(&format!("{url}: {status}"))?;
    Ok(if status == 200 { ExitCode::SUCCESS } else { FAILED.into() })
}

/// The admin listener's: it needs neither TLS nor a client's certificate, and is not at the limit of
/// the public one's connections.
///
/// Only its own variable is read: a server that runs on is not ill because a file that it has read
/// is gone, or another setting would not be taken again.
fn default_url() -> Result<String, Failure> {
    let mut env = config::environment();
    env.retain(|name, _| name.starts_with(ADDRESS));
    let sources = Sources { env, ..Sources::default() };
    let mut address = config::checked(&sources)?.config.admin.addr;
    if address.ip().is_unspecified() {
        let loopback =
            if address.is_ipv4() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { IpAddr::V6(Ipv6Addr::LOCALHOST) };
        address.set_ip(loopback);
    }
    Ok(format!("http://{address}/health"))
}

fn ask(uri: &http::Uri) -> Result<u16, String> {
    let host = uri.host().ok_or("the URL names no host")?;
    let port = uri.port_u16().unwrap_or(80);
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<SocketAddr> = (name, port).to_socket_addrs().map_err(|e| e.to_string())?.collect();
    let mut last = "the host has no address".to_owned();
    for address in addresses {
        match ask_at(address, uri, host) {
            Ok(status) => return Ok(status),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

fn ask_at(address: SocketAddr, uri: &http::Uri, host: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| std::io::Error::other("the answer is not HTTP"))
}
