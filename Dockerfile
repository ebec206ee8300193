# lxcproxy in a container of its own, beside the containers that it serves.
#
#   docker build -t lxcproxy .
#   docker run -d --name lxcproxy --restart unless-stopped \
#     --pid=host --network=host --userns=host \
#     --cap-drop=ALL --cap-add=SYS_PTRACE --cap-add=DAC_OVERRIDE --cap-add=SYS_ADMIN --cap-add=NET_BIND_SERVICE \
#     --security-opt=apparmor=unconfined \
#     -v /etc/lxcproxy.d:/etc/lxcproxy.d:ro -v /var/lib/lxc:/var/lib/lxc:ro,rslave -v /var/lib/lxcproxy:/var/lib/lxcproxy \
#     lxcproxy run --listen 0.0.0.0:80
#   docker exec lxcproxy lxcproxy get apps
#
# Why each of them:
#   --pid=host            a running container is entered through /proc/PID/root of its init
#   --network=host        it listens on the host; lxc-info asks over abstract sockets, which belong to the host's network
#   --userns=host         the capabilities have to count outside
#   SYS_PTRACE            to enter another's root and network (/proc/PID/root, /proc/PID/ns/net)
#   DAC_OVERRIDE          sockets of mode 0660, /var/lib/lxc of mode 0700, files of a container's own users
#   SYS_ADMIN             setns(2) into a container's network, for backends with `port:`; leave it out if there are none
#   NET_BIND_SERVICE      ports below 1024
#   apparmor=unconfined   Docker's profile forbids to look into processes outside
#   /etc/lxcproxy.d       the manifests; they are read and watched, never written
#   /var/lib/lxc          the containers' configurations, and the roots of those that are stopped; at the same place as outside
#   /var/lib/lxcproxy     the last good version of every manifest: it has to outlive this container
#
# For other runtimes, in place of /var/lib/lxc or beside it. Directories, not the sockets and files in them: those are made anew.
#   Incus                 -v /var/lib/incus:/var/lib/incus:ro,rslave; if its socket is in /run/incus: -v /run/incus:/run/incus:ro as well
#   LXD                   -v /var/lib/lxd:/var/lib/lxd:ro,rslave; the snap: -v /var/snap/lxd/common/lxd:/var/snap/lxd/common/lxd:ro,rslave
#   systemd-nspawn        -v /run/systemd/machines:/run/systemd/machines:ro -v /var/lib/machines:/var/lib/machines:ro,rslave
#   pidFile:, rootfs:     the directory that the file is in, and the root, at the same places as outside
# A daemon's socket gives whoever may connect all that the daemon can do, read-only mount or not.
#
# Uploads without a length to FastCGI wait in /var/tmp, from 1 MiB on: -v /var/tmp/lxcproxy:/var/tmp, if that is not to be Docker's disk.

FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin lxcproxy

FROM debian:bookworm-slim
# Of it lxc-info and lxc-monitor are used; the other runtimes need nothing in here.
RUN apt-get update \
 && apt-get install -y --no-install-recommends lxc \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/release/lxcproxy /usr/local/bin/lxcproxy
RUN mkdir -p /etc/lxcproxy.d /var/lib/lxcproxy /run/lxcproxy
STOPSIGNAL SIGTERM
ENTRYPOINT ["lxcproxy"]
CMD ["run"]
