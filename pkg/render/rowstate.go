package render

import "github.com/xcpauth/kubectl-xcpauth/pkg/finding"

// RowState is where a row of status or check is. Of a context that holds no member it says why.
type RowState string

// The states of a row.
const (
	RowOK           RowState = "ok"      // nothing is left to do, or nothing was found
	RowPending      RowState = "pending" // it has steps left
	RowBlocked      RowState = "blocked" // something must be fixed before its next step
	RowNotFound     RowState = "not found"
	RowUnreachable  RowState = "unreachable"
	RowForbidden    RowState = "forbidden"
	RowNotSelected  RowState = "not selected" // a member that no selected context reaches
	RowSkipped      RowState = "skipped"      // a context without a member, or another name of one
	RowOtherManager RowState = "other-management-plane"

	// of check, the worst that was found
	RowError   = RowState(finding.Error)
	RowWarning = RowState(finding.Warning)
	RowInfo    = RowState(finding.Info)
)
