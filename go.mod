module github.com/xcpauth/kubectl-xcpauth

go 1.26.0

toolchain go1.26.8

// Direct dependencies, each with what it is here for.
require (
	github.com/CycloneDX/cyclonedx-go v0.11.0 // krew/release: bills of materials
	github.com/creack/pty v1.1.24 // tests: a real terminal
	github.com/evanphx/json-patch/v5 v5.9.11 // tests: apply the patches that a user sends
	github.com/go-json-experiment/json v1.27.2 // pkg/kube, pkg/token: decodes what clusters answer, in a fifth of the time; encoding/json/v2 of Go 1.27
	github.com/go-logr/logr v1.4.4 // webhook: structured log lines
	github.com/golang-jwt/jwt/v5 v5.3.1 // reads tokens (the mission names it)
	github.com/google/go-cmp v0.7.0 // tests: readable differences
	github.com/google/go-containerregistry v0.22.1 // krew/release: the images, without docker
	github.com/google/licensecheck v0.3.1 // krew/release: which licence a text is
	github.com/google/uuid v1.6.0 // krew/release: serial numbers of bills of materials
	github.com/gorilla/websocket v1.5.4-0.20250319132907-e064f32e3674 // plugin: how a port-forward over WebSocket ended
	github.com/invopop/jsonschema v0.14.0 // test/schema: the JSON Schema of a report from its type
	github.com/mattn/go-runewidth v0.0.16 // plugin: how wide text is on a terminal
	github.com/package-url/packageurl-go v0.1.7 // krew/release: names of modules in bills of materials
	github.com/prometheus/client_golang v1.24.0 // webhook: its metrics
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // test/schema: validates reports by it
	github.com/spf13/cobra v1.10.2 // plugin: verbs, help and completion
	github.com/spf13/pflag v1.0.10 // plugin: flags
	github.com/yuin/goldmark v1.8.7 // test/docs: reads the links, headings and sentences of pages as GitHub does
	go.yaml.in/yaml/v3 v3.0.4 // plugin: the fleet file, of which an error names the line
	golang.org/x/net v0.60.0 // tests: reads the page of a report as a browser does
	golang.org/x/sync v0.23.0 // pkg/parallel, webhook and tests: bounded groups of goroutines
	golang.org/x/sys v0.49.0 // plugin: control sequences on a Windows console
	golang.org/x/term v0.47.0 // plugin: is there a terminal to ask on?
	google.golang.org/grpc v1.85.0 // test/xcpsim, test/kumasim: hubs and members speak gRPC
	google.golang.org/protobuf v1.36.12 // test/xcpsim: messages of those streams
	k8s.io/api v0.37.1 // typed objects in webhook and tests; the plugin does not link it
	k8s.io/apimachinery v0.37.1 // errors, patch types, metadata
	k8s.io/apiserver v0.37.1 // manifests: the API server's own CEL compiler tests our matchConditions
	k8s.io/cli-runtime v0.37.1 // plugin: the streams that a command is given, and the printers of -o
	k8s.io/client-go v0.37.1 // kubeconfig, transport, port-forward; goes with test/k8s/go.mod
	k8s.io/cri-streaming v0.37.1 // test/kubelet, test/apifake: how a node forwards a port
	k8s.io/klog/v2 v2.140.0 // the log of client-go and of the webhook
	k8s.io/streaming v0.37.1 // the streams of a port-forward
	k8s.io/utils v0.0.0-20260626114624-be93311217bd // webhook: an injected clock
	pgregory.net/rapid v1.3.0 // tests: properties of sentences that say never or always
	sigs.k8s.io/controller-runtime v0.25.2 // webhook only: server, manager
	sigs.k8s.io/json v0.0.0-20250730193827-2d320260d730 // webhook: reads reviews as the API server reads objects, and sees a key that is there twice
	sigs.k8s.io/yaml v1.6.0 // YAML by way of JSON, as Kubernetes does it
)

require (
	cel.dev/expr v0.25.3 // indirect
	github.com/Azure/go-ansiterm v0.0.0-20250102033503-faa5f7b0171c // indirect
	github.com/antlr4-go/antlr/v4 v4.13.1 // indirect
	github.com/bahlo/generic-list-go v0.2.0 // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/blang/semver/v4 v4.0.0 // indirect
	github.com/buger/jsonparser v1.1.2 // indirect
	github.com/cenkalti/backoff/v5 v5.0.3 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/davecgh/go-spew v1.1.2-0.20180830191138-d8f796af33cc // indirect
	github.com/docker/cli v29.7.2+incompatible // indirect
	github.com/docker/docker-credential-helpers v0.9.3 // indirect
	github.com/emicklei/go-restful/v3 v3.13.0 // indirect
	github.com/felixge/httpsnoop v1.0.4 // indirect
	github.com/fsnotify/fsnotify v1.9.0 // indirect
	github.com/fxamacker/cbor/v2 v2.9.1 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/go-openapi/jsonpointer v1.0.0 // indirect
	github.com/go-openapi/jsonreference v1.0.0 // indirect
	github.com/go-openapi/swag v0.27.1 // indirect
	github.com/go-openapi/swag/cmdutils v0.27.1 // indirect
	github.com/go-openapi/swag/conv v0.27.1 // indirect
	github.com/go-openapi/swag/fileutils v0.27.1 // indirect
	github.com/go-openapi/swag/jsonutils v0.27.1 // indirect
	github.com/go-openapi/swag/loading v0.27.1 // indirect
	github.com/go-openapi/swag/mangling v0.27.1 // indirect
	github.com/go-openapi/swag/netutils v0.27.1 // indirect
	github.com/go-openapi/swag/pools v0.27.1 // indirect
	github.com/go-openapi/swag/stringutils v0.27.1 // indirect
	github.com/go-openapi/swag/typeutils v0.27.1 // indirect
	github.com/go-openapi/swag/yamlutils v0.27.1 // indirect
	github.com/google/cel-go v0.29.2 // indirect
	github.com/google/gnostic-models v0.7.0 // indirect
	github.com/grpc-ecosystem/grpc-gateway/v2 v2.29.0 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/json-iterator/go v1.1.12 // indirect
	github.com/klauspost/compress v1.19.2 // indirect
	github.com/liggitt/tabwriter v0.0.0-20181228230101-89fcab3d43de // indirect
	github.com/moby/spdystream v0.5.1 // indirect
	github.com/moby/term v0.5.2 // indirect
	github.com/modern-go/concurrent v0.0.0-20180306012644-bacd9c7ef1dd // indirect
	github.com/modern-go/reflect2 v1.0.3-0.20250322232337-35a7c28c31ee // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/opencontainers/go-digest v1.0.0 // indirect
	github.com/opencontainers/image-spec v1.1.1 // indirect
	github.com/pb33f/ordered-map/v2 v2.3.1 // indirect
	github.com/pmezard/go-difflib v1.0.1-0.20181226105442-5d4384ee4fb2 // indirect
	github.com/prometheus/client_model v0.6.2 // indirect
	github.com/prometheus/common v0.70.0 // indirect
	github.com/prometheus/procfs v0.21.1 // indirect
	github.com/rivo/uniseg v0.2.0 // indirect
	github.com/sirupsen/logrus v1.9.4 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	go.opentelemetry.io/auto/sdk v1.2.1 // indirect
	go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp v0.69.0 // indirect
	go.opentelemetry.io/otel v1.45.0 // indirect
	go.opentelemetry.io/otel/exporters/otlp/otlptrace v1.44.0 // indirect
	go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc v1.44.0 // indirect
	go.opentelemetry.io/otel/metric v1.45.0 // indirect
	go.opentelemetry.io/otel/sdk v1.45.0 // indirect
	go.opentelemetry.io/otel/trace v1.45.0 // indirect
	go.opentelemetry.io/proto/otlp v1.10.0 // indirect
	go.yaml.in/yaml/v2 v2.4.4 // indirect
	go.yaml.in/yaml/v4 v4.0.0-rc.2 // indirect
	golang.org/x/exp v0.0.0-20260410095643-746e56fc9e2f // indirect
	golang.org/x/oauth2 v0.36.0 // indirect
	golang.org/x/text v0.42.0 // indirect
	golang.org/x/time v0.15.0 // indirect
	gomodules.xyz/jsonpatch/v2 v2.4.0 // indirect
	google.golang.org/genproto/googleapis/api v0.0.0-20260817212433-ac3dfec99bb1 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260817212433-ac3dfec99bb1 // indirect
	gopkg.in/evanphx/json-patch.v4 v4.13.0 // indirect
	gopkg.in/inf.v0 v0.9.1 // indirect
	gotest.tools/v3 v3.5.2 // indirect
	k8s.io/apiextensions-apiserver v0.37.1 // indirect
	k8s.io/component-base v0.37.1 // indirect
	k8s.io/kube-openapi v0.0.0-20260721132016-d427ff9ee9ad // indirect
	sigs.k8s.io/apiserver-network-proxy/konnectivity-client v0.36.0 // indirect
	sigs.k8s.io/randfill v1.0.0 // indirect
	sigs.k8s.io/structured-merge-diff/v6 v6.4.2 // indirect
)
