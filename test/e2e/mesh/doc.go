// Package mesh is the end-to-end tests of zones: the real plugin, run by the real kubectl, on the real API servers of a
// global control plane and its zones. The promise is the oracle of every test: no authentication is refused that a test
// did not ask for. It must not know how the plugin decides.
//
// The control planes are test/kumasim's, or the product's own where the environment names its programs:
//
//	KUMA_CP=/path/to/kuma-cp KUMACTL=/path/to/kumactl make test-kuma
//
// Then kumactl renders the chart, each pod on the simulated node is a process of kuma-cp with the pod's arguments,
// environment, volumes and service account, and webhooks, the election of leaders and the sync are the product's. The
// tests put one thing between a zone and its global: a relay for each pod, which passes every call on and notes what
// became of it. Deployments get shorter intervals by environment variables (fleet.paceOfPrograms).
//
// It needs:
//
//   - Kong Mesh 2.x: Kuma authenticates zones from 3.0 on, and from there a global keeps nothing in Kubernetes;
//   - Linux, and the programs sh and hostname;
//   - root, or user namespaces and the right to listen at port 443 (sysctl net.ipv4.ip_unprivileged_port_start=443);
//   - for each control plane about 200 MB of memory.
//
// A global that keeps its state elsewhere keeps it in its memory there (environment universal, store memory).
//
// On 2026-11-30 all of them passed with Kuma 2.14.3 built from its source, with the zone authenticator of Kuma 3.0
// under the variables of Kong Mesh 2.14. Kong's own programs were not at hand.
package mesh
