//! What a container is started with.

use std::path::Path;

use serde::Deserialize;

pub(crate) const CTR: &str = "/usr/bin/ctr";
/// Of the containerd that runs these containers alone.
pub(crate) const SOCKET: &str = "/run/host-containerd/containerd.sock";
pub(crate) const NAMESPACE: &str = "host";

/// As the settings have it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Container {
    pub(crate) image: String,
    /// Whether it sees the host: its processes, its files, its devices.
    pub(crate) superpowered: bool,
    #[serde(default)]
    pub(crate) user_data: String,
}

/// Where the node is, for containers that may see it.
const HOST: &str = "/.osbuild/host";
/// Where the node's API has its socket, which is another one after a restart.
const API: &str = "/run/osbuild/api";

/// The words after `ctr`.
pub(crate) fn run(name: &str, container: &Container, kept: &Path) -> Vec<String> {
    let mut words: Vec<String> =
        ["-a", SOCKET, "-n", NAMESPACE, "run", "--rm", "--net-host"].map(str::to_owned).to_vec();
    let mut mount = |source: &str, target: &str, options: &str| {
        words.push("--mount".to_owned());
        words.push(format!("type=bind,src={source},dst={target},options={options}"));
    };
    mount(&kept.display().to_string(), "/.osbuild/kept", "rbind:rw");
    mount(API, API, "rbind:rw");
    mount("/etc/resolv.conf", "/etc/resolv.conf", "rbind:ro");
    if container.superpowered {
        mount("/", HOST, "rbind:rslave:rw");
        mount("/dev", "/dev", "rbind:rslave:rw");
        words.push("--privileged".to_owned());
        words.push("--with-ns".to_owned());
        words.push("pid:/proc/1/ns/pid".to_owned());
    } else {
        words.push("--seccomp".to_owned());
    }
    words.push(container.image.clone());
    words.push(name.to_owned());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(superpowered: bool) -> String {
        let text = format!(r#"{{"image":"r.example/a:1","superpowered":{superpowered},"userData":"x"}}"#);
        let container: Container = serde_json::from_str(&text).unwrap();
        assert_eq!(container.user_data, "x");
        run("admin", &container, Path::new("/var/kept")).join(" ")
    }

    #[test]
    fn only_the_superpowered_see_the_host() {
        let plain = words(false);
        assert!(
            plain.starts_with("-a /run/host-containerd/containerd.sock -n host run --rm --net-host "),
            "{plain}"
        );
        assert!(plain.ends_with(" --seccomp r.example/a:1 admin"), "{plain}");
        for power in ["--privileged", "src=/,", "src=/dev,", "pid:"] {
            assert!(!plain.contains(power), "{plain}");
            assert!(words(true).contains(power), "{}", words(true));
        }
        assert!(!words(true).contains("--seccomp"));
    }

    #[test]
    fn what_is_no_container_is_refused() {
        for bent in ["{}", r#"{"image":"a"}"#, r#"{"image":"a","superpowered":true,"more":1}"#] {
            assert!(serde_json::from_str::<Container>(bent).is_err(), "{bent}");
        }
    }
}
