use super::{address::Protocol, *};

fn proxies(variables: &[(&str, &str)]) -> Proxies {
    Proxies::read(|name| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

/// Where the server of a URL is reached: the place of the proxy, or nothing.
fn through(variables: &[(&str, &str)], url: &str) -> Option<String> {
    let proxy = proxies(variables).for_url(url).unwrap();
    proxy.map(|proxy| proxy.place().to_owned())
}

/// Whether `NO_PROXY` takes the server out.
fn excepted(no_proxy: &str, url: &str) -> bool {
    let variables = [
        ("ALL_PROXY", "http://proxy.example:3128"),
        ("NO_PROXY", no_proxy),
    ];
    through(&variables, url).is_none()
}

#[test]
fn each_scheme_has_its_variable() {
    let all = [
        ("HTTPS_PROXY", "http://s.example:1"),
        ("HTTP_PROXY", "http://p.example:2"),
        ("ALL_PROXY", "http://a.example:3"),
    ];
    let place = |variables: &[(&str, &str)], url: &str| through(variables, url).unwrap_or_default();
    assert_eq!(place(&all, "https://10.96.0.1"), "s.example:1");
    assert_eq!(place(&all, "http://api.example"), "p.example:2");
    assert_eq!(place(&all[1..], "https://api.example"), "a.example:3");
    assert_eq!(place(&all[2..], "http://api.example"), "a.example:3");
    assert_eq!(place(&all[..2], "ftp://api.example"), "");
    assert_eq!(place(&all[1..2], "https://api.example"), "");
    assert_eq!(place(&all, "api.example"), "");
}

#[test]
fn capitals_come_first_and_what_is_empty_is_unset() {
    let url = "https://api.example";
    let both = [
        ("https_proxy", "http://small:1"),
        ("HTTPS_PROXY", "http://capital:2"),
    ];
    assert_eq!(through(&both, url).unwrap(), "capital:2");
    let empty = [("HTTPS_PROXY", " "), ("https_proxy", "http://small:1\n")];
    assert_eq!(through(&empty, url).unwrap(), "small:1");
    assert_eq!(through(&[("HTTPS_PROXY", "")], url), None);
}

#[test]
fn this_machine_is_reached_without_the_proxy_of_the_environment() {
    let variables = [("ALL_PROXY", "http://proxy.example:3128")];
    for url in [
        "https://localhost:6443",
        "https://LOCALHOST.",
        "https://127.0.0.1:6443",
        "http://127.9.9.9",
        "https://[::1]:6443",
        "https://[::ffff:127.0.0.1]",
    ] {
        assert_eq!(through(&variables, url), None, "{url}");
    }
    // Addresses of the machine that others may also have.
    for url in [
        "https://0.0.0.0:6443",
        "https://localhost.example",
        "https://10.0.0.1",
    ] {
        assert!(through(&variables, url).is_some(), "{url}");
    }
}

#[test]
fn the_kubeconfig_comes_before_the_environment_and_its_exceptions() {
    let proxies = proxies(&[("HTTPS_PROXY", "http://env:1"), ("NO_PROXY", "*")]);
    let place = |url: &str, proxy_url: Option<&str>| {
        let access = Access::Kubeconfig { proxy_url };
        let proxy = proxies.for_cluster(url, access).unwrap();
        proxy.map(|proxy| proxy.place().to_owned())
    };
    for url in ["https://127.0.0.1:6443", "https://10.0.0.1", "no URL"] {
        assert_eq!(place(url, Some("socks5://kube")).unwrap(), "kube:1080");
    }
    assert_eq!(place("https://10.0.0.1", Some("")), None);
    assert_eq!(place("https://10.0.0.1", None), None);
}

#[test]
fn a_pod_reaches_its_api_server_without_a_proxy() {
    let variables = proxies(&[("HTTPS_PROXY", "http://env:1"), ("ALL_PROXY", "ftp://x")]);
    for url in [
        "https://10.96.0.1",
        "https://[fd00::1]:443",
        "https://kube.example",
    ] {
        assert_eq!(variables.for_cluster(url, Access::Pod), Ok(None), "{url}");
        let access = Access::Kubeconfig { proxy_url: None };
        assert!(
            variables.for_cluster(url, access).unwrap().is_some(),
            "{url}"
        );
    }
}

#[test]
fn exceptions_name_hosts_and_what_is_below_them() {
    for (entry, url, expected) in [
        ("example.org", "https://example.org", true),
        ("example.org", "https://API.example.org:6443", true),
        ("example.org", "https://notexample.org", false),
        (".example.org", "https://api.example.org", true),
        (".example.org", "https://example.org", true),
        ("*.example.org", "https://a.b.example.org", true),
        ("*.example.org", "https://example.org", false),
        ("EXAMPLE.org.", "https://example.org./", true),
        (
            "kubernetes.default.svc",
            "https://kubernetes.default.svc",
            true,
        ),
        (".svc", "https://kubernetes.default.svc", true),
        ("svc", "https://kubernetes.default.svc.cluster.local", false),
        ("example.org:8443", "https://example.org:8443", true),
        ("example.org:8443", "https://example.org", false),
        ("example.org:443", "https://example.org", true),
        ("example.org:80", "http://example.org", true),
    ] {
        assert_eq!(excepted(entry, url), expected, "{entry} {url}");
    }
}

#[test]
fn exceptions_name_addresses_and_networks() {
    for (entry, url, expected) in [
        ("10.96.0.1", "https://10.96.0.1", true),
        ("10.96.0.1", "https://10.96.0.10", false),
        ("10.96.0.0/12", "https://10.111.255.255", true),
        ("10.96.0.0/12", "https://10.112.0.0", false),
        ("10.96.0.9/12", "https://10.97.0.1", true),
        ("0.0.0.0/0", "https://10.96.0.1", true),
        ("10.96.0.1/32", "https://10.96.0.1", true),
        ("10.96.0.1/32", "https://10.96.0.2", false),
        ("10.0.0.1:6443", "https://10.0.0.1:6443", true),
        ("10.0.0.1:6443", "https://10.0.0.1", false),
        ("fd00::/8", "https://[fd12::1]:6443", true),
        ("fd00::/8", "https://[fe80::1]", false),
        ("fd00::1", "https://[fd00:0::1]", true),
        ("[fd00::1]", "https://[fd00::1]", true),
        ("[fd00::1]:6443", "https://[fd00::1]:6443", true),
        ("[fd00::1]:6443", "https://[fd00::1]", false),
        ("10.0.0.1", "https://[::ffff:10.0.0.1]", true),
        ("fd00::/8", "https://10.0.0.1", false),
        // A name is not resolved, and an address is no end of another one.
        ("10.0.0.0/8", "https://ten.example", false),
        ("0.0.1", "https://10.0.0.1", false),
    ] {
        assert_eq!(excepted(entry, url), expected, "{entry} {url}");
    }
}

#[test]
fn lists_of_exceptions_are_read_as_people_write_them() {
    let url = "https://10.96.0.1";
    for list in [
        "*",
        "localhost,*",
        "localhost,10.96.0.0/12,",
        " localhost , 10.96.0.0/12 ",
        "localhost 10.96.0.0/12",
        ",,10.96.0.1",
        "a:b:c,10.96.0.1",
        "10.0.0.0/99,/path,:80,10.96.0.1",
    ] {
        assert!(excepted(list, url), "{list}");
    }
    for list in [
        "",
        ",",
        "localhost",
        "10.0.0.0/99",
        "10.96.0.1:x",
        "**",
        "*.",
    ] {
        assert!(!excepted(list, url), "{list}");
    }
}

#[test]
fn a_proxy_is_read_as_people_write_it() {
    for (text, url) in [
        ("http://proxy.example:3128", "http://proxy.example:3128"),
        ("proxy.example:3128", "http://proxy.example:3128"),
        ("http://proxy.example/", "http://proxy.example:80"),
        ("HTTP://Proxy.example:80", "http://proxy.example:80"),
        ("https://proxy.example", "https://proxy.example:443"),
        (
            "http://proxy.example:3128/pac?x",
            "http://proxy.example:3128",
        ),
        ("socks5://proxy.example", "socks5h://proxy.example:1080"),
        ("socks5h://10.0.0.1:80", "socks5h://10.0.0.1:80"),
        ("http://[fd00::1]:3128", "http://[fd00::1]:3128"),
        ("u:p@proxy.example:3128", "http://u:p@proxy.example:3128"),
        ("http://u:p%40ss%2F@proxy:1", "http://u:p%40ss%2F@proxy:1"),
        ("http://u:p@ss@proxy:1", "http://u:p%40ss@proxy:1"),
        ("socks5://user@proxy:1", "socks5h://user:@proxy:1"),
    ] {
        let proxy = Proxy::read(text, Source::Kubeconfig).unwrap();
        assert_eq!(proxy.url_with_credentials(), url, "{text}");
    }
    let protocol = |text| Proxy::read(text, Source::Kubeconfig).unwrap().protocol();
    assert_eq!(protocol("socks5://proxy"), Protocol::Socks);
    assert_eq!(protocol("https://proxy"), Protocol::Https);
}

#[test]
fn a_wrong_proxy_is_named_by_its_setting_and_never_shown() {
    for (text, problem) in [
        ("ftp://hunter2:hunter2@proxy:21", "its scheme is `ftp`"),
        ("socks4://hunter2@proxy:1080", "its scheme is `socks4`"),
        ("hunter2:hunter2://proxy", "it begins with no scheme"),
        ("http://hunter2:hunter2@:3128", "it is not a URL"),
        ("http://", "it is not a URL"),
        ("socks5://", "it names no host"),
        ("http://proxy:hunter2", "invalid port number"),
        ("http://proxy:99999", "invalid port number"),
        ("http://proxy:0", "its port is 0"),
        ("http://hunter2 hunter2@pro xy:1", "it is not a URL"),
        ("http://u:hun/ter2@proxy:3128", "write it as %2F"),
        ("http://u:hunter2#@proxy:3128", "write it as %2F"),
    ] {
        let proxies = proxies(&[("https_proxy", text)]);
        let environment = proxies.for_url("https://api.example").unwrap_err();
        let proxy_url = Some(text);
        let access = Access::Kubeconfig { proxy_url };
        let kubeconfig = Proxies::default().for_cluster("https://api.example", access);
        for (message, setting) in [
            (environment, "the environment variable https_proxy names"),
            (kubeconfig.unwrap_err(), "proxy-url in the kubeconfig names"),
        ] {
            assert!(message.starts_with(setting), "{text}: {message}");
            assert!(message.contains(problem), "{text}: {message}");
            assert!(message.contains("Write it like http://"), "{message}");
            assert!(
                !message.contains("hunter2") && !message.contains("ter2"),
                "{message}"
            );
        }
    }
    // What is not used is not judged.
    let proxies = proxies(&[("HTTP_PROXY", "ftp://x"), ("NO_PROXY", "api.example")]);
    assert!(proxies.for_url("https://other.example").unwrap().is_none());
    assert!(proxies.for_url("http://api.example").unwrap().is_none());
}

#[test]
fn credentials_are_not_printed() {
    let proxies = proxies(&[
        ("HTTPS_PROXY", "http://anna:hunter2@proxy:3128"),
        ("ALL_PROXY", "socks5://anna:hunter2@proxy"),
    ]);
    let proxy = proxies.for_url("https://api.example").unwrap().unwrap();
    let shown = format!("{proxies:?} {proxy:?} {proxy}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("anna"),
        "{shown}"
    );
    assert!(shown.ends_with("the proxy proxy:3128 of the environment variable HTTPS_PROXY"));
}
