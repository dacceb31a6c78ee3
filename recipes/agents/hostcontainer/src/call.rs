//! What a container is started with.

use std::path::Path;

use osbuild_images::Containerd;

/// The one that runs these containers alone.
pub(crate) const CONTAINERD: Containerd =
    Containerd { state: "/run/host-containerd", store: "/var/lib/host-containerd", namespace: "host" };

/// What a container may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    /// What any container may.
    Plain,
    /// It sees the host: its processes, its files, its devices.
    Superpowered,
    /// The same, and what it mounts below the host's files is there for all.
    Preparing,
}

/// What is run, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) image: String,
    pub(crate) power: Power,
    pub(crate) user_data: String,
}

/// Where the node is, for containers that may see it.
const HOST: &str = "/.osbuild/host";
/// Where the node's API has its socket, which is another one after a restart.
const API: &str = "/run/osbuild/api";

/// The words after `ctr` that run a container.
pub(crate) fn run(name: &str, container: &Container, kept: &Path) -> Vec<String> {
    let mut words = CONTAINERD.call(&["run", "--rm", "--net-host"]);
    let mut mount = |source: &str, target: &str, options: &str| {
        words.push("--mount".to_owned());
        words.push(format!("type=bind,src={source},dst={target},options={options}"));
    };
    mount(&kept.display().to_string(), "/.osbuild/kept", "rbind:rw");
    mount(API, API, "rbind:rw");
    mount("/etc/resolv.conf", "/etc/resolv.conf", "rbind:ro");
    if container.power != Power::Plain {
        let way = if container.power == Power::Preparing { "rbind:rshared:rw" } else { "rbind:rslave:rw" };
        mount("/", HOST, way);
        mount("/dev", "/dev", "rbind:rslave:rw");
        words.push("--privileged".to_owned());
        words.push("--with-ns".to_owned());
        words.push("pid:/proc/1/ns/pid".to_owned());
        if container.power == Power::Preparing {
            // Without it runc makes all of the container's mounts followers of
            // the host's, whatever is said of one of them.
            words.push("--rootfs-propagation".to_owned());
            words.push("shared".to_owned());
        }
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

    fn words(power: Power) -> String {
        let container = Container { image: "r.example/a:1".to_owned(), power, user_data: "x".to_owned() };
        run("admin", &container, Path::new("/var/kept")).join(" ")
    }

    #[test]
    fn only_the_superpowered_see_the_host() {
        let plain = words(Power::Plain);
        assert!(
            plain.starts_with("-a /run/host-containerd/containerd.sock -n host run --rm --net-host "),
            "{plain}"
        );
        assert!(plain.ends_with(" --seccomp r.example/a:1 admin"), "{plain}");
        for power in [Power::Superpowered, Power::Preparing] {
            for sign in ["--privileged", "src=/,", "src=/dev,", "pid:"] {
                assert!(!plain.contains(sign), "{plain}");
                assert!(words(power).contains(sign), "{}", words(power));
            }
            assert!(!words(power).contains("--seccomp"));
        }
        assert!(
            words(Power::Preparing).contains("rshared") && !words(Power::Superpowered).contains("rshared")
        );
    }
}
