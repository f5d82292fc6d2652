//! Where the API server is: by the kubeconfig, or else by the pod's service account.

use cortecs_rules::proxy::{Access, Proxies, address::Proxy};
use kube::config::{Config, KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::text::cut;

/// Takes the place of the proxies in a kubeconfig while kube reads it: kube would judge those of the environment as well.
const NO_PROXY_HERE: &str = "http://proxy.invalid";

/// How to reach the API server, and through which proxy.
///
/// # Errors
/// A sentence that says why it is not known and what to do.
pub(super) async fn find(proxies: &Proxies) -> Result<(Config, Option<Proxy>), String> {
    let found = match Kubeconfig::read() {
        Ok(kubeconfig) => of_kubeconfig(kubeconfig).await,
        Err(error) => Err(error),
    };
    let (mut config, proxy_url) = match found {
        Ok((config, proxy_url)) => (config, Some(proxy_url)),
        Err(kubeconfig) => match Config::incluster() {
            Ok(config) => (config, None),
            Err(pod) => {
                let why = cut(&format!("kubeconfig: {kubeconfig}; pod: {pod}"));
                return Err(format!(
                    "no Kubernetes cluster found: set KUBECONFIG, or run in a pod with a service account ({why})"
                ));
            }
        },
    };
    config.apply_debug_overrides();
    let access = match &proxy_url {
        Some(proxy_url) => Access::Kubeconfig {
            proxy_url: proxy_url.as_deref(),
        },
        None => Access::Pod,
    };
    let proxy = proxies.for_cluster(&config.cluster_url.to_string(), access)?;
    Ok((config, proxy))
}

/// The configuration without a proxy, and the `proxy-url` of the cluster.
async fn of_kubeconfig(
    mut kubeconfig: Kubeconfig,
) -> Result<(Config, Option<String>), KubeconfigError> {
    let proxy_url = take_proxy_url(&mut kubeconfig);
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    config.proxy_url = None;
    // A program that gets the credentials may be told how the cluster is reached.
    let exec = config.auth_info.exec.as_mut();
    if let Some(cluster) = exec.and_then(|exec| exec.cluster.as_mut()) {
        cluster.proxy_url.clone_from(&proxy_url);
    }
    Ok((config, proxy_url))
}

/// Takes the proxies out, and returns that of the current context's cluster.
fn take_proxy_url(kubeconfig: &mut Kubeconfig) -> Option<String> {
    let current = kubeconfig.current_context.as_ref();
    let mut contexts = kubeconfig.contexts.iter();
    let context = contexts.find(|context| Some(&context.name) == current);
    let context = context.and_then(|context| context.context.as_ref());
    let name = context.map(|context| context.cluster.clone());
    let mut taken = None;
    for named in &mut kubeconfig.clusters {
        let Some(cluster) = &mut named.cluster else {
            continue;
        };
        let proxy_url = cluster.proxy_url.replace(NO_PROXY_HERE.to_owned());
        if taken.is_none() && Some(&named.name) == name.as_ref() {
            taken = Some(proxy_url);
        }
    }
    taken.flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubeconfig(proxy_url: &str) -> Kubeconfig {
        let text = format!(
            r#"{{
                "current-context": "here",
                "contexts": [
                    {{"name": "there", "context": {{"cluster": "b", "user": "u"}}}},
                    {{"name": "here", "context": {{"cluster": "a", "user": "u"}}}}
                ],
                "clusters": [
                    {{"name": "b", "cluster": {{"server": "https://b.example", "proxy-url": "ftp://b"}}}},
                    {{"name": "a", "cluster": {{"server": "https://a.example"{proxy_url}}}}}
                ],
                "users": [{{"name": "u", "user": {{"exec": {{
                    "apiVersion": "client.authentication.k8s.io/v1", "command": "never-run",
                    "interactiveMode": "Never", "provideClusterInfo": true
                }}}}}}]
            }}"#
        );
        Kubeconfig::from_yaml(&text).unwrap()
    }

    #[tokio::test]
    async fn the_proxy_is_that_of_the_current_cluster_and_kube_judges_none() {
        for (field, expected) in [
            ("", None),
            (r#", "proxy-url": "socks5://s:1""#, Some("socks5://s:1")),
            // kube could not even read this one.
            (r#", "proxy-url": "no url at all""#, Some("no url at all")),
        ] {
            let (config, proxy_url) = of_kubeconfig(kubeconfig(field)).await.unwrap();
            assert_eq!(proxy_url.as_deref(), expected);
            assert_eq!(config.cluster_url.host(), Some("a.example"));
            assert_eq!(config.proxy_url, None);
            let told = config.auth_info.exec.unwrap().cluster.unwrap();
            assert_eq!(told.proxy_url.as_deref(), expected);
        }
    }
}
