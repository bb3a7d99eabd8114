package cases

import "slices"

// OverlayCase is one value of spec.components.xcp.kubeSpec, of either plane.
type OverlayCase struct {
	Name     string
	KubeSpec any
	// Reaches says that it reaches authentication behind the typed field, or is not understood.
	Reaches bool
}

// patch is one overlay with one patch.
func patch(kind, name, path string, value any) m {
	return m{"apiVersion": "install.xcp.tetrate.io/v1alpha1", "kind": kind, "name": name, "patches": []any{m{"path": path,
		"value": value}}}
}

func overlays(list ...any) m { return m{"overlays": list} }

// Overlays is the table: what people run, ordinary edits of it, and everything that reaches authentication or may.
func Overlays() []OverlayCase {
	return slices.Concat(publicOverlays(), ordinaryOverlays(), reachingOverlays())
}

const (
	edgeEnv    = "spec.components.edgeServer.kubeSpec.deployment.env"
	centralEnv = "spec.components.centralServer.kubeSpec.deployment.env"
)

func variable(name, value string) m { return m{"name": name, "value": value} }

// publicOverlays are those of some eighty public installations, by their shape.
func publicOverlays() []OverlayCase {
	var all []OverlayCase
	add := func(kind, name, path string, value any) {
		all = append(all, OverlayCase{"public: " + kind + " " + path, overlays(patch(kind, name, path, value)), false})
	}
	for _, v := range []m{variable("ENABLE_ENHANCED_EAST_WEST_ROUTING", "true"), variable("CLUSTER_STATE_RESYNC_INTERVAL",
		"20s"),
		variable("DISABLE_TIER1_TIER2_SEPARATION", "true"), variable("ENABLE_DNS_RESOLUTION_AT_EDGE", "true"),
		variable("ENABLE_NETWORK_POLICY_TRANSLATION", "true"),
		variable("ENABLE_NON_INGRESS_HOST_LEVEL_AUTHORIZATION", "true"), variable("XCP_CENTRAL_CONFIG_STATUS_RESYNC_INTERVAL",
			"20s"),
		variable("ENABLE_NETWORK_POLICY_TRANSLATION", "false"), variable("ENABLE_NON_INGRESS_HOST_LEVEL_AUTHORIZATION",
			"false")} {
		all = append(all, OverlayCase{"public: " + v["name"].(string) + " " + v["value"].(string), overlays(patch("EdgeXcp",
			"edge-xcp", edgeEnv+"[-1]", v)), false})
	}
	add("EdgeXcp", "edge-xcp", "spec.centralAuthJwt.centralSni", "central.xcp.tetrate.io")
	add("EdgeXcp", "edge-xcp", "spec.centralAuthJwt.centralCaSecret", "xcp-central-ca-bundle")
	add("Deployment", "web", "spec.template.spec.containers.[name:web].env[-1]", variable("SESSION_AGE_IN_MINUTES", "60"))
	add("CentralXcp", "central-xcp", centralEnv, []any{variable("ENABLE_NON_INGRESS_HOST_LEVEL_AUTHORIZATION", "true")})
	nested := func(kind, name, path string, value any) []any {
		return []any{m{"apiVersion": "apps/v1", "kind": kind, "name": name, "patches": []any{m{"path": path,
			"value": value}}}}
	}
	add("EdgeXcp", "edge-xcp", "spec.components.edgeServer.kubeSpec.overlays", nested("Service", "xcp-edge", "spec.type",
		"ClusterIP"))
	add("CentralXcp", "central-xcp", "spec.components.centralServer.kubeSpec.overlays", nested("Deployment", "xcp-central",
		"spec.template.spec.nodeSelector", "text"))
	add("Deployment", "tsb", "spec.template.spec.initContainers.[name:wait-for-elasticsearch].command", []any{"sh", "-c",
		"true"})
	add("IstioOperator", "tsb-istiocontrolplane", "spec.meshConfig.defaultConfig.holdApplicationUntilProxyStarts", true)
	add("IstioOperator", "tsb-istiocontrolplane",
		"spec.meshConfig.defaultConfig.proxyMetadata.ISTIO_META_DNS_AUTO_ALLOCATE", "true")
	add("IstioOperator", "tsb-istiocontrolplane", "spec.meshConfig.defaultConfig.proxyMetadata.ISTIO_META_DNS_CAPTURE",
		"true")
	add("IstioOperator", "tsb-istiocontrolplane",
		"spec.meshConfig.defaultConfig.proxyMetadata.ISTIO_META_PROXY_XDS_VIA_AGENT", "true")
	add("Deployment", "oap-deployment",
		"spec.template.spec.containers.[name:oap].env.[name:SW_CORE_GRPC_SSL_TRUSTED_CA_PATH].value", "/ca/ca.crt")
	add("Deployment", "web", "spec.template.spec.containers.[name:web].image", "registry/web:1")
	add("Deployment", "oap", "spec.template.spec.containers[name:oap].readinessProbe", m{"failureThreshold": int64(3),
		"initialDelaySeconds": int64(5), "periodSeconds": int64(10), "successThreshold": int64(1),
		"tcpSocket": m{"port": "grpc"}, "timeoutSeconds": int64(1)})
	add("IstioOperator", "tsb-gateways", "metadata.labels", m{"platform.tetrate.io/plane": "control"})
	add("IstioOperator", "tsb-istiocontrolplane", "spec.meshConfig.defaultConfig.envoyAccessLogService.address",
		"als:8080")
	add("IstioOperator", "tsb-istiocontrolplane",
		"spec.meshConfig.defaultConfig.envoyAccessLogService.tlsSettings.caCertificates", "/ca.crt")
	add("IstioOperator", "tsb-cni", "spec.values.cni.chained", false)
	return all
}

// ordinaryOverlays are edits that have nothing to do with authentication.
func ordinaryOverlays() []OverlayCase {
	edge := func(path string, value any) m { return overlays(patch("EdgeXcp", "edge-xcp", path, value)) }
	deployment := func(path string, value any) m { return overlays(patch("Deployment", "edge", path, value)) }
	const kubeSpec = "spec.components.edgeServer.kubeSpec"
	return []OverlayCase{
		{"no overlays", m{"overlays": []any{}, "service": m{"type": "ClusterIP"}}, false},
		{"overlays null", m{"overlays": nil, "deployment": nil}, false},
		{"an overlay without patches", overlays(m{"apiVersion": "x/v1", "kind": "EdgeXcp", "name": "edge-xcp"}), false},
		{"the expanded defaults of an operator", m{"deployment": m{"replicaCount": int64(1),
			"hpaSpec": m{"maxReplicas": int64(3)}, "affinity": m{}, "env": []any{variable("A", "b")}},
			"service": m{"annotations": m{"auth": "x"}}}, false},
		{"log levels", edge("spec.logLevels", "stream:debug"), false},
		{"a service annotation", edge(kubeSpec+".service.annotations",
			m{"service.beta.kubernetes.io/aws-load-balancer-internal": "true"}), false},
		{"a service annotation by its escaped name",
			edge(kubeSpec+`.service.annotations.service\.beta\.kubernetes\.io/aws-load-balancer-internal`, "true"), false},
		{"a label", edge("metadata.labels", m{"auth": "x"}), false},
		{"resources", edge(kubeSpec+".deployment.resources", m{"limits": m{"cpu": "1"}}), false},
		{"a whole kubeSpec that carries nothing", edge(kubeSpec, m{"service": m{"type": "ClusterIP"},
			"deployment": m{"replicaCount": int64(2), "env": []any{variable("A", "b")}}}), false},
		{"a variable's value by name", edge(edgeEnv+".[name:CLUSTER_STATE_RESYNC_INTERVAL].value", "30s"), false},
		{"a variable by name, quoted, with an equal sign", edge(edgeEnv+`.[name="CLUSTER_STATE_RESYNC_INTERVAL"].value`,
			"30s"), false},
		{"a variable from a secret", edge(edgeEnv+"[-1]", m{"name": "A", "valueFrom": m{"secretKeyRef": m{"name": "s",
			"key": "auth"}}}), false},
		{"an overlay within an overlay, of nothing that matters", edge(kubeSpec+".overlays[-1]", patch("Deployment",
			"xcp-edge", "spec.template.spec.containers.[name:edge].resources.limits.cpu", "1")), false},
		{"the edge's replicas", deployment("spec.replicas", int64(2)), false},
		{"an annotation of the edge's pods", deployment("spec.template.metadata.annotations.auth", "x"), false},
		{"an init container of the edge", deployment("spec.template.spec.initContainers.[name:wait].command", []any{"true"}),
			false},
		{"a probe of the edge", deployment("spec.template.spec.containers.[name:edge].readinessProbe",
			m{"tcpSocket": m{"port": "grpc"}}), false},
		{"a variable of the edge's container", deployment("spec.template.spec.containers.[name:edge].env[-1]", variable("A",
			"b")), false},
	}
}
