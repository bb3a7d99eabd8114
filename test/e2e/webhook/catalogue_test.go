//go:build linux

package webhook

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
)

// catalogue is every fault that must not turn a denial into an admission, and who shows it. Where a fault, or a part
// of it, cannot be had on a loopback, or does not exist, without says so.
var catalogue = []struct {
	row, fault string
	shownBy    []string // directory/TestName
	without    string
}{
	{"R1", "an edge's API server is down", []string{"webhook/live/TestNoFaultTurnsADenialIntoAnAdmission",
		"test/e2e/webhook/TestARegisteredEdgeIsReadLive"}, ""},
	{"R2", "it accepts and never answers", []string{"webhook/live/TestNoFaultTurnsADenialIntoAnAdmission",
		"webhook/live/TestAConnectionThatDiedWithoutAWordIsNoticed", "test/e2e/webhook/TestARegisteredEdgeIsReadLive"}, ""},
	{"R3", "it drips", []string{"webhook/live/TestNoFaultTurnsADenialIntoAnAdmission",
		"test/e2e/webhook/TestARegisteredEdgeIsReadLive"}, "slower than 50 KB a second: what it says fits into less"},
	{"R4", "its certificate or CA changes", []string{"webhook/live/TestNoFaultTurnsADenialIntoAnAdmission",
		"test/e2e/webhook/TestARegisteredEdgeIsReadLive"}, ""},
	{"R5", "its token is revoked, and renewed", []string{"webhook/live/TestNoFaultTurnsADenialIntoAnAdmission",
		"webhook/live/TestATokenThatIsReplacedMeanwhileIsTakenWithinTheDecision",
		"test/e2e/webhook/TestARegisteredEdgeIsReadLive"}, ""},
	{"R6", "the right to read is taken away", []string{"webhook/live/TestNoFaultTurnsADenialIntoAnAdmission",
		"test/e2e/webhook/TestARegisteredEdgeIsReadLive"}, ""},
	{"R7", "it takes no more requests", []string{"webhook/live/TestNoFaultTurnsADenialIntoAnAdmission",
		"webhook/live/TestAnEdgeThatAsksToWaitIsAskedAgainIfThereIsTime"}, ""},
	{"R8", "a watch is dropped", []string{"webhook/live/TestADecisionIsOneBurstOnAConnectionThatIsKept",
		"webhook/inventory/TestARosterThatCannotBeReadToItsEndIsAnError"},
		"no decision rests on a watch: every one reads; what remains of it is a list that expires between two pages (410)"},
	{"R9", "the edge lacks the kinds, or serves another version",
		[]string{"webhook/live/TestNoFaultTurnsADenialIntoAnAdmission", "test/e2e/webhook/TestTheShippedWebhook"}, ""},
	{"R10", "two ControlPlanes, or one in an odd namespace",
		[]string{"webhook/live/TestNoFaultTurnsADenialIntoAnAdmission", "webhook/verdict/TestEveryMemberIsAccountedForOnce"},
		"a second ControlPlane in an edge's own cluster is a member of its own, by its own entry: it is not looked for"},
	{"R11", "re-created under the same name", []string{"webhook/live/TestNoFaultTurnsADenialIntoAnAdmission",
		"webhook/verdict/TestAReCreatedControlPlaneIsOneMember", "test/e2e/webhook/TestARegisteredEdgeIsReadLive"}, ""},
	{"R12", "restored to an older state", []string{"webhook/live/TestARestoredEdgeIsReadAsItIs",
		"test/e2e/TestARestoredEdgeHasNoStatementLeft", "webhook/verdict/TestTheRaceBetweenTheHubAndAnEdge"},
		"emulated: one etcd is all clusters' here, so no snapshot of one of them is put back. To a statement a restore is an edit after it was seen: see the race"},
	{"R13", "a clock is an hour off, either way", []string{"pkg/roster/TestHowLongAStatementIsBelieved",
		"webhook/verdict/TestNoClockLengthensTheLifeOfAStatement", "webhook/verdict/TestADenialForAClockNamesIt",
		"webhook/inventory/TestTheClockOfTheAPIServerIsRead"},
		"for as long as both of the hub's own clocks are set back together after a statement was written, it is believed that much longer"},
	{"R14", "leap, zero, negative and far times", []string{"pkg/roster/TestHowLongAStatementIsBelieved",
		"pkg/roster/TestWhatIsNoHandOverIsRefused", "webhook/verdict/TestTimesThatNobodyCanMeanAdmitNothing"}, ""},

	{"L1", "the API server restarts in mid-call", []string{"test/e2e/webhook/TestEditsKeepComingWhileTheWebhookIsDrilled"},
		""},
	{"L2", "a replica is killed in mid-call", []string{"test/e2e/webhook/TestEditsKeepComingWhileTheWebhookIsDrilled"},
		""},
	{"L3", "rolled under load", []string{"test/e2e/webhook/TestEditsKeepComingWhileTheWebhookIsDrilled",
		"webhook/admit/TestACallInFlightIsFinishedWhenTheServerShutsDown",
		"webhook/events/TestTheEndWaitsForNoMoreThanOneWrite"}, ""},
	{"L4", "out of memory at a cold start", []string{"test/e2e/webhook/TestEditsKeepComingWhileTheWebhookIsDrilled",
		"test/e2e/webhook/TestTheShippedWebhook"}, "killed before it is ready, as the kernel would: no cgroup is made here"},
	{"L5", "entries are deleted while decisions run",
		[]string{"test/e2e/webhook/TestEditsKeepComingWhileTheWebhookIsDrilled"}, ""},
	{"L6", "another replica leads", []string{"test/e2e/webhook/TestTheShippedWebhook"},
		"no decision rests on who leads: the auditor does, and it only tells"},
	{"L7", "replicas whose inventory is of different age",
		[]string{"test/e2e/webhook/TestEditsKeepComingWhileTheWebhookIsDrilled"},
		"an inventory has no age: both replicas are asked right after each of many changes"},
	{"L8", "the CA rotates in mid-flight", []string{"test/e2e/webhook/TestEditsKeepComingWhileCertificatesRotate",
		"webhook/certs/TestEveryServedLeafIsBelievedByEveryBundleInUse"}, ""},
	{"L9", "the certificate expires", []string{"webhook/server/TestACertificateIsNotReadyInItsLastMoments",
		"webhook/certs/TestTwoReplicasRenewInTimeForThreeYears"}, ""},
	{"L10", "a NetworkPolicy cuts the way out", []string{"manifests/TestTheNetworkPolicyNamesEachPortOfThePod",
		"webhook/live/TestNoFaultTurnsADenialIntoAnAdmission"},
		"nothing enforces one on a loopback: its text is read, and what it does to a read is R1 and R2"},
	{"L11", "etcd hangs", []string{"test/e2e/webhook/TestEditsKeepComingWhileTheWebhookIsDrilled",
		"webhook/admit/TestAHangingReadIsAnsweredBeforeTheAPIServerGivesUp"}, ""},
	{"L12", "the disk is full", []string{"manifests/TestTheWebhookRunsTwiceRestrictedAndIsNeverRolledToZero"},
		"not made: it logs to standard error alone, and the root filesystem that is rendered is read-only"},
	{"L13", "one CPU and 64 MiB", []string{"test/e2e/webhook/TestEditsKeepComingWhileTheWebhookIsDrilled",
		"test/e2e/webhook/TestTheShippedWebhook"}, "GOMAXPROCS and GOMEMLIMIT, and the peak is read: no cgroup is made here"},

	{"P1-P9", "malformed, deep, huge, doubled, misspelt", []string{"webhook/admit/TestWhateverIsMalformedIsADenial",
		"webhook/admit/TestABodyIsRefusedByItsLengthBeforeItIsRead", "webhook/admit/FuzzAdmissionReview",
		"webhook/verdict/TestTextOfOthersStaysOnItsLineAndWithinItsLength"}, ""},
	{"P10", "a dry run", []string{"webhook/admit/TestADryRunIsAnsweredTheSameAndTellsNobody"}, ""},
	{"P11", "slow, half-open, oversized, two hundred at once, a timeout that nobody means", []string{
		"test/e2e/webhook/TestEditsKeepComingWhileTheWebhookIsDrilled",
		"webhook/admit/TestSlowSendersTakeNoPlaceAndNoMemoryFromOthers",
		"webhook/admit/TestTwoHundredAtOnceAreAllDecided", "webhook/admit/TestTheCallersTimeoutIsAnUpperBoundAlone",
		"webhook/admit/TestTheBodyThatHoldsMostGivesWay",
		"webhook/server/TestOneConnectionTooManyCostsTheOneThatWaitedLongest",
		"webhook/server/TestAProbeGetsTheLastJudgementAndAsksNobody"}, ""},
	{"P12", "a review that no API server sent",
		[]string{"webhook/admit/TestAReviewThatIsNotAboutWhatIsStoredGetsNoDetailAndLeavesNoTrace",
			"webhook/admit/TestCreationsThatAreNotVerifiedAreReadForOneAtATime",
			"webhook/server/TestOnlyAnAPIServerThatShowsItsCertificateIsAnsweredWhereThatIsConfigured",
			"test/e2e/webhook/TestTheShippedWebhook"},
		"who may read the ManagementPlane can send what an API server would: client certificates keep them out where they are configured"},
	{"P13", "deleted and created, an owner that is gone",
		[]string{"webhook/verdict/TestADeletionIsJudgedAsAWithdrawalOfAllThatIsAccepted",
			"webhook/verdict/TestAnEditThatAddsAnOwnerIsJudgedAsADeletion",
			"manifests/TestTheWebhookIsAskedAboutDeletionsAndNewOwnersOnly",
			"test/e2e/webhook/TestTheShippedWebhook"}, ""},
	{"P14", "a statement by somebody who may only register",
		[]string{"webhook/verdict/TestOnlyAnEntryOfAnEdgeAnswersForItsCluster",
			"webhook/verdict/TestAStatedFenceMustBeTheOneThatIsThere",
			"webhook/live/TestAStatementOfAnEdgeThatTheHubCanReadIsChecked",
			"test/e2e/webhook/TestTheShippedWebhook"}, ""},

	{"C1", "two flips at once", []string{"test/e2e/webhook/TestEditsKeepComingWhileTheWebhookIsDrilled"},
		"three clients write one object, and every version that a watch shows is looked at"},
	{"C2", "a flip and an edge's edit, in every order", []string{"webhook/verdict/TestTheRaceBetweenTheHubAndAnEdge"},
		"without a fence some orders cut an edge off: the test names them"},
	{"C3", "a crash at every step", []string{"test/e2e/TestAKillAfterEachKindOfWrite",
		"test/e2e/TestAKilledRunIsRestoredByTheNext", "pkg/engine/TestThePromiseHoldsWhoeverInterrupts"}, ""},
	{"C4", "epochs are confused", []string{"webhook/verdict/TestAReCreatedControlPlaneIsOneMember"},
		"there are no epochs: a statement names the UID of what it was seen of"},
}

// Whoever is said to show a fault is there.
func TestWhoShowsAFaultIsThere(t *testing.T) {
	root, err := sandbox.Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range catalogue {
		for _, name := range c.shownBy {
			dir, test := filepath.Split(name)
			sources, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, source := range sources {
				text, err := os.ReadFile(source)
				if err != nil {
					t.Fatal(err)
				}
				found = found || strings.Contains(string(text), "\nfunc "+test+"(")
			}
			if !found {
				t.Errorf("%s (%s): there is no %s", c.row, c.fault, name)
			}
		}
		if len(c.shownBy) == 0 {
			t.Errorf("%s (%s): nobody shows it", c.row, c.fault)
		}
	}
}
