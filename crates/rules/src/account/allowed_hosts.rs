//! Which hosts an account's API URL may name.

use std::{fmt, str::FromStr};

use url::Url;

/// The API hosts that the operator sends credentials to: `--allowed-api-hosts`.
///
/// Parsed from a comma-separated list of `host` (https on port 443), `host:port` (https on that port) and
/// `http://host[:port]` (plain http, port 80 by default). Nothing else allows plain http.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHosts(Vec<AllowedHost>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct AllowedHost {
    scheme: Scheme,
    /// As a parsed URL shows it: lower case, punycode, IPv6 in brackets.
    host: String,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Https,
    Http,
}

impl AllowedHosts {
    /// Whether credentials may be sent to `api_url`.
    ///
    /// # Errors
    /// One sentence for the account's condition: what is wrong and what to do. It never repeats a user name or password of the URL.
    pub fn check(&self, api_url: &str) -> Result<(), String> {
        let url = Url::parse(api_url).map_err(|error| {
            format!("apiUrl is not a URL ({error}): write it like https://cortecs.ai/api/v1")
        })?;
        let wanted = AllowedHost::of(&url).map_err(|problem| format!("apiUrl {problem}"))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err("apiUrl must end with its path: remove what follows `?` or `#`".to_owned());
        }
        if self.0.contains(&wanted) {
            return Ok(());
        }
        let shown = shorten(&wanted.to_string());
        let same_place = |allowed: &&AllowedHost| allowed.host == wanted.host;
        Err(match self.0.iter().find(same_place) {
            Some(allowed) if wanted.scheme == Scheme::Http && allowed.scheme == Scheme::Https => {
                format!(
                    "apiUrl would send credentials over plain http: use https://, or let the operator's administrator add `{shown}` to --allowed-api-hosts"
                )
            }
            Some(allowed) => format!(
                "apiUrl names `{shown}`, but of this host only `{}` is allowed: use that, or let the operator's administrator add `{shown}` to --allowed-api-hosts",
                shorten(&allowed.to_string())
            ),
            None => format!(
                "apiUrl names `{shown}`, which is not among the allowed hosts: correct it, or let the operator's administrator add `{shown}` to --allowed-api-hosts"
            ),
        })
    }
}

impl AllowedHosts {
    /// A URL of each host.
    pub fn urls(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|allowed| {
            let scheme = match allowed.scheme {
                Scheme::Https => "https",
                Scheme::Http => "http",
            };
            format!("{scheme}://{}:{}", allowed.host, allowed.port)
        })
    }
}

impl Default for AllowedHosts {
    fn default() -> Self {
        Self(vec![AllowedHost {
            scheme: Scheme::Https,
            host: "cortecs.ai".to_owned(),
            port: 443,
        }])
    }
}

impl FromStr for AllowedHosts {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let hosts = list
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(AllowedHost::from_entry)
            .collect::<Result<Vec<_>, _>>()?;
        if hosts.is_empty() {
            return Err("name at least one host, for example cortecs.ai".to_owned());
        }
        Ok(Self(hosts))
    }
}

impl fmt::Display for AllowedHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, host) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            host.fmt(f)?;
        }
        Ok(())
    }
}

impl AllowedHost {
    fn from_entry(entry: &str) -> Result<Self, String> {
        let expected = "write `host`, `host:port` or `http://host[:port]`";
        if entry.contains('*') {
            return Err("wildcards are not allowed: name each host".to_owned());
        }
        let url = match entry.split_once("://") {
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => Url::parse(entry),
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                return Err("https is the default: write the host without `https://`".to_owned());
            }
            Some(_) => return Err(format!("unknown scheme: {expected}")),
            None => Url::parse(&format!("https://{entry}")),
        }
        .map_err(|error| format!("{error}: {expected}"))?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("an entry has no path: {expected}"));
        }
        Self::of(&url)
    }

    fn of(url: &Url) -> Result<Self, String> {
        let scheme = match url.scheme() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return Err("must start with https://".to_owned()),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "must not contain a user name or password: credentials belong into the Secret"
                    .to_owned(),
            );
        }
        match (url.host_str(), url.port_or_known_default()) {
            (Some(host), Some(port)) => Ok(Self {
                scheme,
                host: host.to_owned(),
                port,
            }),
            _ => Err("names no host".to_owned()),
        }
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prefix, default_port) = match self.scheme {
            Scheme::Https => ("", 443),
            Scheme::Http => ("http://", 80),
        };
        write!(f, "{prefix}{}", self.host)?;
        if self.port != default_port {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(list: &str) -> AllowedHosts {
        list.parse().unwrap()
    }

    #[test]
    fn the_default_allows_the_vendor_over_https_only() {
        let allowed = AllowedHosts::default();
        assert_eq!(allowed, hosts("cortecs.ai"));
        for url in [
            "https://cortecs.ai/api/v1",
            "https://CORTECS.AI/api/v1",
            "HTTPS://Cortecs.ai:443/",
            "https://cortecs.ai",
        ] {
            assert_eq!(allowed.check(url), Ok(()), "{url}");
        }
        for url in [
            "http://cortecs.ai/api/v1",
            "https://cortecs.ai:8443/api/v1",
            "http://cortecs.ai:443/api/v1",
            "https://evil.example/cortecs.ai",
            "https://cortecs.ai.evil.example/",
            "https://api.cortecs.ai/",
            "https://cortecs.ai./",
            "https://cortecs.ai@evil.example/",
            "https://evil.example\\@cortecs.ai/",
            "https://evil.example#@cortecs.ai/",
            "ftp://cortecs.ai/",
            "file:///cortecs.ai",
            "cortecs.ai",
            "https://",
            "",
        ] {
            assert!(allowed.check(url).is_err(), "{url} must be refused");
        }
    }

    #[test]
    fn ports_and_plain_http_need_their_own_entry() {
        let allowed = hosts("api.example:8443, http://127.0.0.1:9000,http://sim.test,[::1]:8443");
        for url in [
            "https://api.example:8443/v1",
            "http://127.0.0.1:9000",
            "http://sim.test/",
            "http://sim.test:80/",
            "https://[::1]:8443/",
            "https://[0:0:0:0:0:0:0:1]:8443/",
        ] {
            assert_eq!(allowed.check(url), Ok(()), "{url}");
        }
        for url in [
            "https://api.example/v1",
            "http://api.example:8443/v1",
            "https://127.0.0.1:9000",
            "http://127.0.0.1",
            "https://sim.test/",
            "http://sim.test:8080/",
        ] {
            assert!(allowed.check(url).is_err(), "{url} must be refused");
        }
    }

    #[test]
    fn each_host_has_a_url_that_is_allowed() {
        let allowed = hosts("cortecs.ai,http://sim.test,[::1]:8443");
        let urls: Vec<_> = allowed.urls().collect();
        assert_eq!(
            urls,
            [
                "https://cortecs.ai:443",
                "http://sim.test:80",
                "https://[::1]:8443"
            ]
        );
        assert!(urls.iter().all(|url| allowed.check(url).is_ok()));
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let allowed = hosts("cortecs.ai");
        let message = |url: &str| allowed.check(url).unwrap_err();
        assert!(
            message("https://other.example:8443/x")
                .contains("add `other.example:8443` to --allowed-api-hosts")
        );
        assert!(message("http://cortecs.ai").contains("use https://, or let"));
        assert!(message("http://cortecs.ai").contains("add `http://cortecs.ai` to"));
        assert!(message("https://cortecs.ai:8443").contains("only `cortecs.ai` is allowed"));
        assert!(message("https://cortecs.ai/?a=b").contains("remove what follows"));
        assert!(message("ftp://cortecs.ai").contains("must start with https://"));
    }

    #[test]
    fn a_refusal_never_repeats_credentials_and_stays_short() {
        let allowed = hosts("cortecs.ai");
        let message = allowed
            .check("https://anna:hunter2@cortecs.ai/")
            .unwrap_err();
        assert!(
            message.contains("Secret") && !message.contains("hunter2") && !message.contains("anna")
        );
        assert!(allowed.check("https://:hunter2@cortecs.ai/").is_err());
        let long = format!("https://{}.example/", vec!["a"; 2000].join("."));
        assert!(allowed.check(&long).unwrap_err().len() < 400);
    }

    #[test]
    fn entries_are_checked() {
        for list in [
            "",
            " , ",
            "*.cortecs.ai",
            "https://cortecs.ai",
            "ftp://cortecs.ai",
            "cortecs.ai/api",
            "http://cortecs.ai/?x",
            "user@cortecs.ai",
            "cortecs.ai:99999",
            "cor tecs",
        ] {
            assert!(
                list.parse::<AllowedHosts>().is_err(),
                "{list:?} must be refused"
            );
        }
        assert_eq!(
            hosts("Cortecs.ai,cortecs.ai:8443,HTTP://Sim:8080").to_string(),
            "cortecs.ai,cortecs.ai:8443,http://sim:8080"
        );
    }
}
