//! Behind a proxy: the cluster and the API are reached as the environment and the kubeconfig say, by the real binary.

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::net::TcpSocket;

use crate::harness::{
    Bed, ForwardProxy, MODEL, PASSWORD, PASSWORD_IN_URL, Process, USER, polls_every_second,
};

/// A kubeconfig like the bed's, with changes of its cluster.
fn kubeconfig(bed: &Bed, change: impl FnOnce(&mut Value)) -> NamedTempFile {
    let text = std::fs::read_to_string(&bed.kubeconfig).expect("a kubeconfig");
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    change(&mut config["clusters"][0]["cluster"]);
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), config.to_string()).expect("a written file");
    file
}

fn path(file: &NamedTempFile) -> String {
    file.path().to_string_lossy().into_owned()
}

/// The port of the API server.
fn port(bed: &Bed) -> String {
    let text = std::fs::read_to_string(bed.plane.dir().join("pki/server.url")).expect("a URL");
    text.trim().rsplit(':').next().expect("a port").to_owned()
}

/// An address that refuses connections, as long as the socket is there.
fn dead() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let address = socket.local_addr().expect("an address").to_string();
    (socket, address)
}

/// Runs `reap`, which reads the cluster and has nothing to do: what it said.
async fn reap(bed: &Bed, environment: &[(&str, &str)]) -> String {
    let mut reaper = Process::reap_where(bed, environment);
    let code = reaper.ended().await.code();
    let log = reaper.log();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("no stop is overdue"), "{log}");
    log
}

/// Runs the operator until it fails to start: what it said.
async fn fails(bed: &Bed, environment: &[(&str, &str)]) -> String {
    let mut operator = Process::start_where(bed, environment, "an operator that cannot start");
    let status = operator.ended().await;
    let log = operator.log();
    assert_eq!(status.code(), Some(1), "{log}");
    log
}

/// Neither cluster nor API can be found but by a proxy that asks for a password.
async fn everything_goes_through(name: &'static str, scheme: &str, variables: &[&str]) {
    let mut bed = Bed::builder(name).without_account().elected().build().await;
    let api = bed.api_url.rsplit(':').next().expect("a port").to_owned();
    let api_host = format!("api.cortecs.test:{}", api.trim_end_matches("/api/v1"));
    bed.api_url = format!("http://{api_host}/api/v1");
    bed.config.allowed_hosts = format!("http://{api_host}").parse().expect("a host");
    bed.create_account("main", polls_every_second()).await;
    let cluster_host = format!("kubernetes.default.svc:{}", port(&bed));
    let config = kubeconfig(&bed, |cluster| {
        cluster["server"] = format!("https://{cluster_host}").into();
    });
    let proxy = ForwardProxy::start(true).await;
    let url = format!("{scheme}://{USER}:{PASSWORD_IN_URL}@{}", proxy.address());
    let config = path(&config);
    let mut environment = vec![
        ("KUBECONFIG", config.as_str()),
        ("NO_PROXY", "localhost,10.0.0.0/8,"),
    ];
    environment.extend(variables.iter().map(|name| (*name, url.as_str())));

    let mut operator = Process::start_where(&bed, &environment, "behind a proxy");
    bed.run("phi", json!({"modelId": MODEL})).await;
    assert!(proxy.connections(&cluster_host) > 0);
    assert!(proxy.connections(&api_host) > 0);
    assert_eq!(proxy.targets(), [api_host, cluster_host]);
    assert_eq!(bed.starts(), 1);
    assert!(operator.is_running());
    let log = operator.log();
    let told = format!(
        "the API server is reached through the proxy {}",
        proxy.address()
    );
    assert!(log.contains(&told), "{log}");
    for secret in [PASSWORD, PASSWORD_IN_URL, "YW5uYTpodW50ZXI"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn cluster_and_api_are_reached_through_the_http_proxy_of_the_environment() {
    let variables = ["HTTPS_PROXY", "http_proxy"];
    everything_goes_through("http-proxy", "http", &variables).await;
}

#[tokio::test]
async fn cluster_and_api_are_reached_through_the_socks_proxy_of_the_environment() {
    everything_goes_through("socks-proxy", "socks5", &["ALL_PROXY"]).await;
}

#[tokio::test]
async fn what_no_proxy_names_is_reached_without_it() {
    let bed = Bed::new("no-proxy").await;
    let proxy = ForwardProxy::start(false).await;
    let (url, port) = (format!("http://{}", proxy.address()), port(&bed));
    // An address of this machine that is not known as such.
    let config = kubeconfig(&bed, |cluster| {
        cluster["server"] = format!("https://0.0.0.0:{port}").into();
        cluster["tls-server-name"] = "localhost".into();
    });
    let config = path(&config);
    let with = |no_proxy: &'static str| {
        [
            ("KUBECONFIG", config.as_str()),
            ("HTTPS_PROXY", url.as_str()),
            ("NO_PROXY", no_proxy),
        ]
        .map(|(name, value)| (name, value.to_owned()))
    };
    let target = format!("0.0.0.0:{port}");
    let mut expected = 0;
    for (no_proxy, goes_through) in [
        ("", true),
        ("0.0.0.0/8", false),
        ("example.org, 0.0.0.0 ,", false),
        ("*", false),
        ("10.96.0.0/12,127.0.0.1", true),
    ] {
        let variables = with(no_proxy);
        let environment = variables
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        reap(&bed, &environment).await;
        let connections = proxy.connections(&target);
        assert_eq!(connections > expected, goes_through, "NO_PROXY={no_proxy}");
        expected = connections;
    }
    // The API server on the loopback needs no entry.
    reap(&bed, &[("HTTPS_PROXY", &url)]).await;
    assert_eq!(proxy.connections(&target), expected);
    assert_eq!(proxy.targets(), [target]);
}

#[tokio::test]
async fn the_proxy_of_the_kubeconfig_comes_before_the_environment() {
    let bed = Bed::new("proxy-url").await;
    let (_dead, dead) = dead();
    let (dead, port) = (format!("http://{dead}"), port(&bed));
    let target = format!("127.0.0.1:{port}");
    let with_password = |scheme: &str| format!("{scheme}://{USER}:{PASSWORD_IN_URL}@");
    for (asks_password, prefix) in [
        (false, "http://".to_owned()),
        (false, "socks5://".to_owned()),
        (true, with_password("http")),
        (true, with_password("socks5h")),
    ] {
        let proxy = ForwardProxy::start(asks_password).await;
        let config = kubeconfig(&bed, |cluster| {
            cluster["proxy-url"] = format!("{prefix}{}", proxy.address()).into();
        });
        let config = path(&config);
        let environment = [
            ("KUBECONFIG", config.as_str()),
            ("HTTPS_PROXY", &dead),
            ("NO_PROXY", "127.0.0.1"),
        ];
        let log = reap(&bed, &environment).await;
        assert!(proxy.connections(&target) > 0, "{prefix}");
        assert!(!log.contains(PASSWORD_IN_URL), "{log}");
    }
}

#[tokio::test]
async fn a_setting_that_names_no_proxy_is_named() {
    let bed = Bed::new("wrong-proxy").await;
    let elsewhere = kubeconfig(&bed, |cluster| {
        cluster["server"] = "https://kubernetes.default.svc".into();
    });
    let elsewhere = path(&elsewhere);
    for (variable, value, problem) in [
        (
            "HTTPS_PROXY",
            "ftp://u:hunter2@proxy:21",
            "its scheme is `ftp`",
        ),
        ("https_proxy", "http://proxy:hunter2", "invalid port number"),
        ("ALL_PROXY", "http://u:hun/ter2@proxy:1", "write it as %2F"),
    ] {
        let log = fails(&bed, &[("KUBECONFIG", &elsewhere), (variable, value)]).await;
        let named =
            format!("error: the environment variable {variable} names no proxy that can be used: ");
        assert!(log.contains(&named) && log.contains(problem), "{log}");
        assert!(
            !log.contains("ter2") && !log.contains("kubeconfig"),
            "{log}"
        );
    }
    for (proxy_url, problem) in [
        ("socks4://u:hunter2@proxy", "its scheme is `socks4`"),
        ("u:hunter2://proxy", "it begins with no scheme"),
        ("http://u:hunter2@", "it is not a URL"),
    ] {
        let wrong = kubeconfig(&bed, |cluster| cluster["proxy-url"] = proxy_url.into());
        let log = fails(&bed, &[("KUBECONFIG", &path(&wrong))]).await;
        let named = "error: proxy-url in the kubeconfig names no proxy that can be used: ";
        assert!(log.contains(named) && log.contains(problem), "{log}");
        assert!(!log.contains("hunter2"), "{log}");
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_serve_is_named_and_not_the_kubeconfig() {
    let bed = Bed::builder("dead-proxy").elected().build().await;
    let asking = ForwardProxy::start(true).await;
    let (_dead, dead) = dead();
    let asking = asking.address().to_string();
    for (scheme, place, problem) in [
        ("http", &dead, "cannot be reached: "),
        ("socks5", &dead, "cannot be reached: "),
        (
            "http",
            &asking,
            "makes no connection to the API server: tunnel error: proxy authorization required",
        ),
        (
            "socks5",
            &asking,
            "makes no connection to the API server: SOCKS error: ",
        ),
    ] {
        let config = kubeconfig(&bed, |cluster| {
            cluster["server"] = "https://kubernetes.default.svc".into();
        });
        let url = format!("{scheme}://{USER}:wrong-word@{place}");
        let environment = [("KUBECONFIG", path(&config)), ("HTTPS_PROXY", url)];
        let environment = environment
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let mut operator = Process::start_where(&bed, &environment, format!("{scheme} {place}"));
        let told = format!("the proxy {place} of the environment variable HTTPS_PROXY {problem}");
        operator
            .answers("/readyz", |status, body| {
                status == 503 && body.contains(&told)
            })
            .await;
        let log = operator.log();
        assert!(
            !log.contains("wrong-word") && !log.contains("check the kubeconfig"),
            "{log}"
        );
    }
}
