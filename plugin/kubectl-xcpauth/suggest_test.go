package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// hole stands in a suggestion for what is only known when it is printed.
const hole = "…"

// commands are the beginnings of what may be suggested. A sentence may go on after a command; see matching.
var commands = regexp.MustCompile(`\b(kubectl|tctl|make) ([^ ]+)`)

// prose are words that follow a program's name where a sentence speaks of it.
var prose = []string{"and", "or", "does", "reaches", ">", hole, "(" + hole + "):", "..."}

// vendors are the commands of tctl: its name too is a word of many sentences.
var vendors = []string{"install", "config", "version", "version`.", "x"}

// targets are those of the Makefile: make is a word of every sentence.
func targets(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z0-9-]+):`).FindAllStringSubmatch(string(text), -1) {
		all = append(all, m[1])
	}
	return all
}

// suggestions collects what the texts of the programs and the pages suggest to run: everything from the command to the
// end of its line.
func suggestions(t *testing.T) map[string]string {
	t.Helper()
	const root = "../.."
	found := map[string]string{} // to where
	ofMake := targets(t)
	add := func(where, text string) {
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(strings.ReplaceAll(line, "\\\n", " "))
			for from := 0; ; {
				at := commands.FindStringSubmatchIndex(line[from:])
				if at == nil {
					break
				}
				program, next := line[from+at[2]:from+at[3]], line[from+at[4]:from+at[5]]
				if program == "make" && slices.Contains(ofMake, next) || program == "tctl" && slices.Contains(vendors, next) ||
					program == "kubectl" && !slices.Contains(prose, next) {
					found[strings.TrimSpace(line[from+at[0]:])] = where
				}
				from += at[3]
			}
		}
	}
	for _, page := range pages(t) {
		fenced := false
		for line := range strings.Lines(strings.ReplaceAll(page.text, "\\\n", " ")) {
			if strings.HasPrefix(line, "```") {
				fenced = !fenced
				continue
			}
			if fenced {
				code, _, _ := strings.Cut(strings.TrimPrefix(line, "$ "), "  # ")
				add(page.name, code)
				continue
			}
			for i, code := range strings.Split(line, "`") {
				if i%2 == 1 {
					add(page.name, code)
				}
			}
		}
	}
	for _, dir := range []string{"pkg", "plugin", "webhook", "test/sandbox", "test/demo", "test/testbed"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			where := strings.TrimPrefix(path, root+"/")
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.ImportSpec:
					return false
				case *ast.CallExpr, *ast.CompositeLit: // again("plan") is a suggestion, and so is the verb of an order
					for _, verb := range continued(n.(ast.Expr)) {
						add(where, "kubectl xcpauth "+verb)
					}
				case *ast.BinaryExpr, *ast.BasicLit:
					if text, ok := textOf(n.(ast.Expr)); ok {
						add(where, text)
						return false
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// continued returns the verbs of an expression that suggests to go on with one.
func continued(e ast.Expr) []string {
	var words []ast.Expr
	switch e := e.(type) {
	case *ast.CallExpr:
		name, _ := e.Fun.(*ast.Ident)
		if f, is := e.Fun.(*ast.SelectorExpr); is {
			name = f.Sel
		}
		if name != nil && name.Name == "again" {
			words = e.Args
		}
	case *ast.CompositeLit:
		if of, is := e.Type.(*ast.Ident); !is || of.Name != "order" {
			return nil
		}
		for _, field := range e.Elts {
			if f, is := field.(*ast.KeyValueExpr); is && f.Key.(*ast.Ident).Name == "verb" {
				words = append(words, f.Value)
			}
		}
	}
	var verbs []string
	for _, word := range words {
		if lit, ok := word.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			verb, _ := strconv.Unquote(lit.Value)
			verbs = append(verbs, verb)
		}
	}
	return verbs
}

var verbs = regexp.MustCompile(`%[-+#0-9.*]*[a-zA-Z]`)

// textOf is a string expression with holes for what is not a literal.
func textOf(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return verbs.ReplaceAllString(text, hole), err == nil
	case *ast.BinaryExpr:
		a, okA := textOf(e.X)
		b, okB := textOf(e.Y)
		if e.Op != token.ADD || !okA && !okB {
			return "", false
		}
		if !okA {
			a = hole
		}
		if !okB {
			b = hole
		}
		return a + b, true
	case *ast.ParenExpr:
		return textOf(e.X)
	}
	return "", false
}

// installsIt is the test that installs the webhook in a real cluster and takes it out again.
const installsIt = "TestInstallRefusesNobodyAndGuardsOnceAPodIsReady"

// suggested are the commands that are suggested, each with the test that runs it. Names of clusters and files are as in
// the suggestion.
var suggested = map[string]string{
	"kubectl auth whoami": "TestEverySuggestedCommandRuns",
	"kubectl patch managementplane … -n … --type=merge -p '…'":      "TestTheShippedWebhook",
	"kubectl annotate --overwrite … …":                              "TestTheShippedWebhook",
	"kubectl delete …":                                              "TestTheShippedWebhook",
	"kubectl replace --force":                                       "TestTheShippedWebhook",
	"kubectl apply":                                                 "TestTheShippedWebhook",
	"kubectl annotate managementplane … -n … …-":                    "TestTheShippedWebhook",
	"kubectl delete validatingwebhookconfiguration xcpauth-webhook": "TestTheShippedWebhook",
	"kubectl xcpauth webhook status":                                "TestTheShippedWebhook",
	"kubectl create rolebinding xcpauth-override -n tsb " +
		"--clusterrole=xcpauth-override --user=alice": "TestTheShippedWebhook",
	"kubectl delete rolebinding xcpauth-override -n tsb": "TestTheShippedWebhook",
	"kubectl xcpauth certificate request --key-out central.key > " +
		"central.csr": "TestARequestHasEveryNameAndItsKeyIsKeptOnce",
	"kubectl xcpauth certificate request --key-out FILE": "TestARequestHasEveryNameAndItsKeyIsKeptOnce",
	"kubectl xcpauth certificate show":                   "TestTheCertificateReportsHaveTheSameFactsInEveryFormat",
	"kubectl xcpauth migrate --central-cert central.crt --central-key " +
		"central.key": "TestCentralsCertificateComesFromFilesAndGoesBack",
	"kubectl xcpauth check":                               "TestREADMECommandsOfCheckAndToken",
	"kubectl xcpauth check --ignore XA050=edge-1 -o json": "TestREADMECommandsOfCheckAndToken",
	"kubectl xcpauth check --ignore token-long=west":      "TestREADMECommandsOfCheckAndToken",
	"kubectl xcpauth check --read-only":                   "TestREADMECommandsOfCheckAndToken",
	"kubectl xcpauth check --severity warning":            "TestREADMECommandsOfCheckAndToken",
	"kubectl xcpauth check --severity warning --warn-within 720h --ignore " +
		"XA050=edge-1 -o json": "TestEverySuggestedCommandRuns",
	"kubectl xcpauth check --warn-within 720h":                   "TestREADMECommandsOfCheckAndToken",
	"kubectl xcpauth edge forget":                                "TestAnEdgeThatGoesAwayMidRunIsARowUntilItIsForgotten",
	"kubectl xcpauth token inspect":                              "TestREADMECommandsOfCheckAndToken",
	"kubectl xcpauth token inspect edge-1":                       "TestREADMECommandsOfCheckAndToken",
	"kubectl xcpauth token inspect edge-1.jwt":                   "TestREADMECommandsOfCheckAndToken",
	"kubectl xcpauth token verify edge-1":                        "TestREADMECommandsOfCheckAndToken",
	"kubectl xcpauth token verify edge-1.jwt --key-file iam.pub": "TestREADMECommandsOfCheckAndToken",
	"tctl version":                                     "TestVendorCommandsAreAsDocumented",
	"tctl config view":                                 "TestVendorCommandsAreAsDocumented",
	"tctl config profiles list":                        "TestVendorCommandsAreAsDocumented",
	"tctl install cluster-service-account":             "TestVendorCommandsAreAsDocumented",
	"tctl install cluster-service-account --cluster …": "TestVendorCommandsAreAsDocumented",
	"tctl install manifest control-plane-secrets --cluster … " +
		"--cluster-service-account": "TestVendorCommandsAreAsDocumented",
	"tctl install manifest management-plane-secrets --xcp-certs":                         "TestVendorCommandsAreAsDocumented",
	"kubectl config get-contexts":                                                        "TestEverySuggestedCommandRuns",
	"kubectl config get-contexts -o name":                                                "TestEverySuggestedCommandRuns",
	"kubectl rollout resume deployment/… -n … --context …":                               "TestEverySuggestedCommandRuns",
	"kubectl get pods -n … --context …":                                                  "TestEverySuggestedCommandRuns",
	"kubectl apply -k manifests/overlays/self-signed":                                    "TestTheShippedWebhook",
	"kubectl xcpauth install webhook":                                                    "TestWhatInstallPrintsIsWhatIsShipped",
	"kubectl xcpauth install webhook > xcpauth-webhook.yaml":                             "TestWhatInstallPrintsIsWhatIsShipped",
	"kubectl xcpauth install webhook --context hub --apply --wait":                       installsIt,
	"kubectl xcpauth install webhook --apply --wait --context …":                         installsIt,
	"kubectl xcpauth install webhook --apply --context …":                                installsIt,
	"kubectl xcpauth uninstall … --context hub --apply":                                  installsIt,
	"kubectl xcpauth install crds --context hub --apply":                                 installsIt,
	"kubectl xcpauth install crds --context hub --namespace mesh-auth --apply":           "TestAHubKeepsItsStateInTheNamespaceThatItNames",
	"kubectl xcpauth install rbac hub --context hub --namespace mesh-auth --apply":       "TestAHubKeepsItsStateInTheNamespaceThatItNames",
	"kubectl xcpauth install crds --namespace … --apply":                                 "TestAHubKeepsItsStateInTheNamespaceThatItNames",
	"kubectl xcpauth install webhook --context hub --namespace mesh-auth --apply --wait": installsIt,
	"kubectl delete crd edgeclusters.xcpauth.io":                                         installsIt,
	"kubectl xcpauth install fence":                                                      "TestWhatInstallPrintsIsWhatIsShipped",
	"kubectl xcpauth install rbac":                                                       "TestWhatInstallPrintsIsWhatIsShipped",
	"kubectl xcpauth install rbac hub":                                                   "TestWhatInstallPrintsIsWhatIsShipped",
	"kubectl xcpauth install rbac edge --contexts edge-1,edge-2 --role read,migrate --group " +
		"mesh-admins --apply": "TestRolesAreAppliedToEachClusterAndBound",
	"kubectl apply -f dist/install.yaml":  "TestTheInstallationAppliesToARealCluster",
	"kubectl apply -k manifests/rbac/hub": "TestTheShippedRolesAreEnough",
	"kubectl create clusterrolebinding $role --clusterrole=$role " +
		"--user=alice": "TestTheShippedRolesAreEnough",
	"kubectl -n xcpauth-system create rolebinding $role --role=$role " +
		"--user=alice": "TestTheShippedRolesAreEnough",
	"kubectl -n xcpauth-system get secret xcpauth-webhook-cert -o " +
		"jsonpath='{.data.ca\\.crt}' |": "TestTheCAIsChangedWithoutOneFailedEdit",
	`kubectl -n xcpauth-system patch secret xcpauth-webhook-cert --type=json -p '[{"op":"remove","path":"/data/ca.key"}]'`: "TestTheCAIsChangedWithoutOneFailedEdit",
	`kubectl -n xcpauth-system patch secret xcpauth-webhook-cert --type=merge -p "{\"data\":{\"ca.crt\":\"$ca\"}}"`:        "TestTheCAIsChangedWithoutOneFailedEdit",
	"kubectl -n tsb create rolebinding $role --role=$role --user=alice":                                                    "TestTheShippedRolesAreEnough",
	"kubectl krew install --manifest=dist/xcpauth.yaml --archive=\"$(ls " +
		"dist/kubectl-xcpauth_*_linux_amd64.tar.gz)\"": "TestKrewInstallsWhatARealKubectlRuns",
	"make bench":            "TestSuggestedTargetsAreInTheMakefile",
	"make build":            "TestSuggestedTargetsAreInTheMakefile",
	"make clean":            "TestSuggestedTargetsAreInTheMakefile",
	"make demo":             "TestSuggestedTargetsAreInTheMakefile",
	"make demo-mesh":        "TestSuggestedTargetsAreInTheMakefile",
	"make sandbox-mesh":     "TestSuggestedTargetsAreInTheMakefile",
	"make docs":             "TestSuggestedTargetsAreInTheMakefile",
	"make fuzz":             "TestSuggestedTargetsAreInTheMakefile",
	"make generate":         "TestSuggestedTargetsAreInTheMakefile",
	"make help":             "TestSuggestedTargetsAreInTheMakefile",
	"make k8s":              "TestSuggestedTargetsAreInTheMakefile",
	"make lint":             "TestSuggestedTargetsAreInTheMakefile",
	"make release-snapshot": "TestSuggestedTargetsAreInTheMakefile",
	"make release-snapshot REGISTRY=registry.example.com/team": "TestTheReleaseWorkflow",
	"make sandbox":   "TestSuggestedTargetsAreInTheMakefile",
	"make test":      "TestSuggestedTargetsAreInTheMakefile",
	"make test-fast": "TestSuggestedTargetsAreInTheMakefile",
	"make test-kuma": "TestSuggestedTargetsAreInTheMakefile",
	"tctl install cluster-certs --cluster …":                  "TestVendorCommandsAreAsDocumented",
	"tctl install manifest control-plane-secrets --cluster …": "TestVendorCommandsAreAsDocumented",
	"kubectl xcpauth edge forget NAME --reason ...":           "TestAnEdgeThatGoesAwayMidRunIsARowUntilItIsForgotten",
	"kubectl xcpauth edge forget … --reason ...":              "TestAnEdgeThatGoesAwayMidRunIsARowUntilItIsForgotten",
	"kubectl xcpauth edge forget … --reason WHY":              "TestAnEdgeThatGoesAwayMidRunIsARowUntilItIsForgotten",
	"kubectl xcpauth edge forget … --alive --reason WHY":      "TestEverySuggestedCommandRuns",
	"kubectl xcpauth edge forget edge-2 --reason 'cluster deleted, " +
		"CHG-1234'": "TestAnEdgeThatGoesAwayMidRunIsARowUntilItIsForgotten",
	"kubectl xcpauth migrate --context hub --contexts '/^edge-/' " +
		"--wave-size 10 --soak 1m --max-failures 2 -y -o json": "TestEverySuggestedCommandRuns",
	"kubectl xcpauth":                                                               "TestEverySuggestedCommandRuns",
	"kubectl xcpauth status":                                                        "TestEverySuggestedCommandRuns",
	"kubectl xcpauth --context hub status":                                          "TestEverySuggestedCommandRuns",
	"kubectl xcpauth status -o yaml":                                                "TestEverySuggestedCommandRuns",
	"kubectl xcpauth status --watch":                                                "TestEverySuggestedCommandRuns",
	"kubectl xcpauth status --no-hub":                                               "TestTeamsThatShareNothingMigrateTogether",
	"kubectl xcpauth edge publish -f FILE":                                          "TestTeamsThatShareNothingMigrateTogether",
	"kubectl xcpauth status --history":                                              "TestEverySuggestedCommandRuns",
	"kubectl xcpauth status --watch --interval 30s":                                 "TestEverySuggestedCommandRuns",
	"kubectl xcpauth status --no-hub --contexts edge-1":                             "TestEverySuggestedCommandRuns",
	"kubectl xcpauth status --context hub --contexts '/^edge-/' -o json":            "TestEverySuggestedCommandRuns",
	"kubectl xcpauth plan":                                                          "TestEverySuggestedCommandRuns",
	"kubectl xcpauth plan --diff":                                                   "TestEverySuggestedCommandRuns",
	"kubectl xcpauth plan --detailed-exitcode -o json":                              "TestEverySuggestedCommandRuns",
	"kubectl xcpauth plan --patches patches":                                        "TestAFleetThatGitKeepsIsMigratedWaveByWave",
	"kubectl xcpauth plan --out plan.json":                                          "TestEverySuggestedCommandRuns",
	"kubectl xcpauth plan --out FILE":                                               "TestEverySuggestedCommandRuns",
	"kubectl xcpauth plan --out …":                                                  "TestEverySuggestedCommandRuns",
	"kubectl xcpauth plan --… … --out …":                                            "TestEverySuggestedCommandRuns",
	"kubectl xcpauth migrate":                                                       "TestEverySuggestedCommandRuns",
	"kubectl xcpauth migrate --dry-run=server":                                      "TestEverySuggestedCommandRuns",
	"kubectl xcpauth rollback --dry-run=server":                                     "TestADryRunOfAnyVerbWritesNothing",
	"kubectl xcpauth migrate --plan plan.json -y --progress=json --lock-timeout 2m": "TestEverySuggestedCommandRuns",
	"kubectl xcpauth migrate --plan plan.json":                                      "TestEverySuggestedCommandRuns",
	"kubectl xcpauth migrate --to=dual":                                             "TestTeamsThatShareNothingMigrateTogether",
	"kubectl xcpauth migrate --to=edges":                                            "TestZonesMigrateToTokensAndTheirTokensAreRevoked",
	"kubectl xcpauth migrate --to=edges --no-hub":                                   "TestTeamsThatShareNothingMigrateTogether",
	"kubectl xcpauth migrate --to=jwt-only":                                         "TestTeamsThatShareNothingMigrateTogether",
	"kubectl xcpauth token rotate":                                                  "TestTokensAreMadeAnewOrPutBack",
	"kubectl xcpauth token rotate edge-1":                                           "TestEverySuggestedCommandRuns",
	"kubectl xcpauth token rotate --all --wave-size 5":                              "TestEverySuggestedCommandRuns",
	"kubectl xcpauth rollback":                                                      "TestEverySuggestedCommandRuns",
	"kubectl xcpauth rollback edge-1":                                               "TestEverySuggestedCommandRuns",
	"kubectl xcpauth rollback --no-hub --contexts edge-1":                           "TestEverySuggestedCommandRuns",
	"kubectl xcpauth edge register edge-1":                                          "TestARegisteredEdgeIsReadLive",
	"kubectl xcpauth edge register edge-1 --server https://10.1.2.3:6443":           "TestARegisteredEdgeIsReadLive",
	"kubectl xcpauth edge unregister edge-1":                                        "TestARegisteredEdgeIsReadLive",
	"kubectl xcpauth edge register …":                                               "TestARegisteredEdgeIsReadLive",
	"kubectl xcpauth edge list":                                                     "TestEverySuggestedCommandRuns",
	"kubectl xcpauth edge publish":                                                  "TestEverySuggestedCommandRuns",
	"kubectl xcpauth edge publish edge-1":                                           "TestEverySuggestedCommandRuns",
	"kubectl xcpauth edge publish --no-hub":                                         "TestEverySuggestedCommandRuns",
	"kubectl xcpauth edge publish --no-hub --out FILE":                              "TestTeamsThatShareNothingMigrateTogether",
	"kubectl xcpauth edge publish --no-hub --contexts edge-1 --out " +
		"edge-1.yaml": "TestEverySuggestedCommandRuns",
	"kubectl xcpauth edge publish -f edge-1.yaml": "TestEverySuggestedCommandRuns",
	"kubectl xcpauth edge publish -f …":           "TestTeamsThatShareNothingMigrateTogether",

	"kubectl xcpauth report --out fleet.html":                             "TestTheCommandsOfTheReportPageRunAsShown",
	"kubectl xcpauth report -o markdown":                                  "TestTheCommandsOfTheReportPageRunAsShown",
	"kubectl xcpauth report --no-hub --contexts edge-1 --out edge-1.html": "TestTheCommandsOfTheReportPageRunAsShown",
	"kubectl xcpauth report --bundle xcpauth.tar.gz":                      "TestTheCommandsOfTheReportPageRunAsShown",
	"kubectl xcpauth report -o markdown --read-only":                      "TestTheCommandsOfTheReportPageRunAsShown",
	"kubectl xcpauth report -o junit --out xcpauth.xml":                   "TestTheCommandsOfTheReportPageRunAsShown",

	"kubectl xcpauth key list":                                              "TestKeysAndTokensOfAMeshAreListed",
	"kubectl xcpauth token list":                                            "TestKeysAndTokensOfAMeshAreListed",
	"kubectl xcpauth token list -o wide":                                    "TestKeysAndTokensOfAMeshAreListed",
	"kubectl xcpauth key rotate":                                            "TestTheVerbsOfAMeshAskFirst",
	"kubectl xcpauth check --for 3.0":                                       "TestWhatAnUpgradeWouldBreakIsFound",
	"kubectl xcpauth key rotate --keep-old":                                 "TestTheVerbsOfAMeshAskFirst",
	"kubectl xcpauth key retire":                                            "TestTheVerbsOfAMeshAskFirst",
	"kubectl xcpauth token revoke west":                                     "TestTheVerbsOfAMeshAskFirst",
	"kubectl xcpauth token revoke --prune-expired":                          "TestWhatHasExpiredIsTakenOffTheListOfRevokedTokens",
	"kubectl xcpauth token revoke --prune-expired --revoked-token west.jwt": "TestWhatHasExpiredIsTakenOffTheListOfRevokedTokens",
	"kubectl xcpauth token revoke 0e120ec9-6b42-495d-9758-07b59fe86fb9 " +
		"--reconnect": "TestWhatARotationAndARevocationWouldDoIsShown",

	`kubectl xcpauth __complete "$@"`: "TestKubectlCompletesThePlugin",
	"kubectl completion --help":       "TestEverySuggestedCommandRuns",
	"kubectl xcpauth completion kubectl > " +
		"~/.local/bin/kubectl_complete-xcpauth": "TestKubectlCompletesThePlugin",
	"kubectl xcpauth completion kubectl": "TestKubectlCompletesThePlugin",
	"kubectl xcpauth completion bash":    "TestEachScriptCompletesTheProgram",

	"kubectl xcpauth status --fleet prod.yaml":             "TestAFleetFileSaysWhichClustersThereAre",
	"kubectl xcpauth plan --fleet prod.yaml --wave-size 5": "TestACommandThatGoesOnRepeatsTheFleetFileAlone",

	"kubectl xcpauth status -o name":                               "TestOutputFormatsAreKubectls",
	"kubectl xcpauth status -o 'jsonpath={.summary.notConnected}'": "TestOutputFormatsAreKubectls",
	"kubectl xcpauth status -o " +
		"custom-columns=NAME:.member,STATE:.health,EXPIRES:.expires": "TestOutputFormatsAreKubectls",
	"kubectl xcpauth plan --zone-token west=west.jwt": "TestAZoneWithoutAContextCountsByItsToken",
	"kubectl xcpauth migrate --global-api https://global:5682 " +
		"--state-context ops": "TestAGlobalOutsideOfClusters",
	"kubectl xcpauth status --kumactl-config ~/.kumactl/config --kumactl-context prod " +
		"--state-context ops": "TestAGlobalOutsideOfClusters",
	"kubectl xcpauth status --global-api https://global:5682 --global-ca ca.pem --api-token token.txt " +
		"--state-context ops": "TestAGlobalOutsideOfClusters",

	"kubectl xcpauth key create --out key-2.pem --serial 2 --manifest " +
		"key-2.yaml": "TestTheCommandsOfZoneTokensRunAsShown",
	"kubectl xcpauth token inspect west.jwt":                           "TestTheCommandsOfZoneTokensRunAsShown",
	"kubectl xcpauth token issue west --valid-for 720h --out west.jwt": "TestTokensComeFromTheGlobalsAPI",
	"kubectl xcpauth token issue west --valid-for 720h --in-cluster " +
		"--secret cp-token": "TestTokensComeFromTheGlobalsAPI",
	"kubectl xcpauth key rotate --back":  "TestARotationIsTakenBack",
	"kubectl xcpauth token issue --help": "TestTheCommandsOfZoneTokensRunAsShown",
	"kubectl xcpauth token issue west --valid-for 720h --key-file " +
		"key-2.pem --kid 2 --out west.jwt": "TestTheCommandsOfZoneTokensRunAsShown",
	"kubectl xcpauth token revocations revoked.txt": "TestTheCommandsOfZoneTokensRunAsShown",
	"kubectl xcpauth token revocations revoked.txt --add " +
		"0e120ec9-6b42-495d-9758-07b59fe86fb9 --out revoked.txt": "TestTheCommandsOfZoneTokensRunAsShown",
	"kubectl xcpauth token verify west.jwt --key-file key-2.pem --kid 2 " +
		"--zone west --revocations revoked.txt --version 2.13.5": "TestTheCommandsOfZoneTokensRunAsShown",

	// saved plans
	"kubectl xcpauth plan show plan.json":             "TestASavedPlanIsShownAgainWithoutACluster",
	"kubectl xcpauth plan show plan.json --diff":      "TestASavedPlanIsShownAgainWithoutACluster",
	"kubectl xcpauth plan --rollback --out back.json": "TestASavedRollbackIsCarriedOutAsItIsSaved",
	"kubectl xcpauth plan --rollback --out FILE":      "TestASavedRollbackIsCarriedOutAsItIsSaved",
	"kubectl xcpauth rollback --plan back.json":       "TestASavedRollbackIsCarriedOutAsItIsSaved",
	"kubectl xcpauth rollback --plan …":               "TestASavedRollbackIsCarriedOutAsItIsSaved",
	"kubectl xcpauth migrate --plan …":                "TestWhatIsNoPlanOfTheVerbIsRefusedByName",
	"kubectl xcpauth plan --rollback … --out …":       "TestWhatIsNoPlanOfTheVerbIsRefusedByName",
	"kubectl xcpauth plan --rollback --… … --out …":   "TestWhatIsNoPlanOfTheVerbIsRefusedByName",
}

// matching is the longest known command with which a suggestion begins, "" when there is none: what follows must be the
// rest of a sentence, and neither a flag nor, after the plugin's name alone, a word.
func matching(suggestion string, known map[string]string) string {
	best := ""
	for command := range known {
		rest, ok := strings.CutPrefix(suggestion, command)
		switch {
		case !ok || len(command) <= len(best):
		case rest != "" && !strings.ContainsAny(rest[:1], " ;,.:)'\"`"):
		case strings.HasPrefix(rest, " -"), strings.HasPrefix(rest, " "+hole):
		case command == "kubectl xcpauth" && len(rest) > 1 && rest[0] == ' ':
		default:
			best = command
		}
	}
	return best
}

func TestEverySuggestionIsRunByATest(t *testing.T) {
	used := map[string]bool{}
	found := suggestions(t)
	for _, s := range slices.Sorted(maps.Keys(found)) {
		command := matching(s, suggested)
		if command == "" {
			t.Errorf("%s suggests %q, of which no test is known to run it", found[s], s)
		}
		used[command] = true
	}
	tests := testNames(t)
	for _, command := range slices.Sorted(maps.Keys(suggested)) {
		if !used[command] {
			t.Errorf("nothing suggests %q any more", command)
		}
		if !tests[suggested[command]] {
			t.Errorf("%s, which is to run %q, is not there", suggested[command], command)
		}
	}
}

// testNames are the names of all tests of the module.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			names[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// What is built from the Makefile takes minutes; here make says what it would do.
func TestSuggestedTargetsAreInTheMakefile(t *testing.T) {
	for command, by := range suggested {
		target, ok := strings.CutPrefix(command, "make ")
		if !ok || by != t.Name() {
			continue
		}
		cmd := exec.CommandContext(t.Context(), "make", "--dry-run", "--no-print-directory", target)
		cmd.Dir = "../.."
		if out, err := cmd.CombinedOutput(); err != nil || len(out) == 0 {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
}

// documented are the commands of tctl and their flags as the vendor's CLI reference has them, of those that are
// suggested.
var documented = map[string][]string{
	"version":                                   {},
	"config view":                               {},
	"config profiles list":                      {},
	"install cluster-certs":                     {"cluster"},
	"install cluster-service-account":           {"cluster", "create-cluster"},
	"install manifest management-plane-secrets": {"xcp-certs"},
	"install manifest control-plane-secrets": {"cluster", "cluster-service-account", "controlplane", "create-cluster",
		"xcp-central-ca-bundle", "xcp-certs"},
}

func TestVendorCommandsAreAsDocumented(t *testing.T) {
	for command, by := range suggested {
		line, ok := strings.CutPrefix(command, "tctl ")
		if !ok || by != t.Name() {
			continue
		}
		words, flags, any := strings.Cut(line, " --")
		if _, known := documented[words]; !known {
			t.Errorf("%q: the reference has no tctl %s", command, words)
		}
		if !any {
			continue
		}
		for _, f := range strings.Split(flags, " --") {
			name, _, _ := strings.Cut(f, " ")
			if !slices.Contains(documented[words], name) {
				t.Errorf("%q: the reference has no flag --%s of tctl %s", command, name, words)
			}
		}
	}
}

// Each suggested command of the plugin is one that its command tree takes, with its flags.
func TestEverySuggestedCommandIsUnderstood(t *testing.T) {
	for _, command := range slices.Sorted(maps.Keys(suggested)) {
		words, ours := strings.CutPrefix(command, "kubectl xcpauth")
		if !ours {
			continue
		}
		words, _, _ = strings.Cut(words, " > ") // the shell's
		if words == " edge forget" {            // only named, where a finding is about it
			words += " x"
		}
		words = strings.Replace(words, " uninstall …", " uninstall webhook", 1) // a verb stands there
		if err := understood(fields(strings.NewReplacer("--… …", "--to dual", "…", "x", "FILE",
			"file").Replace(words))); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
	for _, bad := range []string{"statsu", "status --histroy", "edge publish --out", "migrate edge-1",
		"migrate --wave-size x"} {
		if understood(fields(bad)) == nil {
			t.Errorf("%q is taken to be understood", bad)
		}
	}
}

// A command that continues a run repeats its flags, and is itself understood.
func TestTheCommandThatContinuesIsUnderstood(t *testing.T) {
	root := newRootCommand(newFleetOptions(genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard,
		ErrOut: io.Discard}))
	for _, verb := range []string{"migrate", "rollback", "plan"} {
		cmd, _, err := root.Find([]string{verb})
		if err != nil {
			t.Fatal(err)
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			value := map[string]string{"bool": "true", "int": "3", "duration": "1m", "string": "x y", "stringSlice": "a,b",
				"stringToString": "west=FILE,east=FILE"}[f.Value.Type()]
			if f.Name == "to" {
				value = "edges"
			}
			if err := cmd.Flags().Set(f.Name, value); err != nil {
				t.Fatal(err)
			}
		})
		if err := understood(append([]string{verb}, fields(given(cmd.Flags(), goalNames...))...)); err != nil {
			t.Errorf("%s %s: %v", verb, given(cmd.Flags(), goalNames...), err)
		}
	}
}

// fields splits a command line at spaces, as a shell would with single quotes.
func fields(line string) []string {
	var words []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words[len(words)-1] += part
			continue
		}
		fresh := strings.Fields(part)
		if strings.HasSuffix(part, " ") && i < strings.Count(line, "'") {
			fresh = append(fresh, "") // what the quotes hold begins a word
		}
		words = append(words, fresh...)
	}
	return words
}

// understood parses arguments with the real command tree, and runs nothing.
func understood(args []string) error {
	root := newRootCommand(newFleetOptions(genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard,
		ErrOut: io.Discard}))
	var still func(*cobra.Command)
	still = func(cmd *cobra.Command) {
		if cmd.Runnable() {
			cmd.RunE = func(*cobra.Command, []string) error { return nil }
		}
		for _, sub := range cmd.Commands() {
			still(sub)
		}
	}
	still(root)
	root.PersistentPreRunE = nil              // which reads a fleet file
	root.SetArgs(append([]string{}, args...)) // never those of the test
	return root.Execute()
}
