package plan

import (
	"encoding/json"
	"fmt"
)

// Op is what a write does to its object.
type Op int8

// The operations. The zero value changes an object that is there.
const (
	OpUpdate       Op = iota // changes our paths of the object
	OpCreate                 // makes the object as After says, and leaves one that is there as it is
	OpDelete                 // removes the object, when it still is the one of Object.UID; After is empty
	OpRestart                // starts the object's pods again; After says what for
	OpUpdateStatus           // changes our paths of the object's status subresource
)

func (o Op) String() string {
	switch o {
	case OpUpdate:
		return "update"
	case OpCreate:
		return "create"
	case OpDelete:
		return "delete"
	case OpRestart:
		return "restart"
	case OpUpdateStatus:
		return "update status"
	}
	return fmt.Sprintf("Op(%d)", int8(o))
}

// Write is one write to one object. It carries only our paths of the object, and never a secret: a value that nobody
// may see is named by SecretField, and is added when the write is sent. A saved plan is not held to what a restart is
// for, which may name what is known only then.
type Write struct {
	Context string `json:"context"`
	Cluster string `json:"cluster,omitempty"` // the UID of the cluster, which outlives the name of a context
	Object  Ref    `json:"object"`
	Op      Op     `json:"-"` // see wireWrite
	// Via is the hub's own API, of which the object is one; nil for an object of the cluster.
	Via *HubAPI `json:"via,omitempty"`
	// BackupAs names a secret of the same namespace into which the object is copied before it is written.
	BackupAs string `json:"keepAs,omitempty"`
	// RestoreFrom names such a copy. An update writes the object back from it, a creation makes the object again.
	RestoreFrom string `json:"restoreFrom,omitempty"`
	// Undoing says that the write takes back what an earlier one wrote, so nobody's claim to the object blocks it. It is
	// set right before the write, and never stored.
	Undoing bool `json:"-"`
	// SecretField names a value that only the executor has, such as a private key from a file.
	SecretField string `json:"fill,omitempty"`
	// ListsByName says that the entries of lists are told by their name, and that those given are ours. Then the write
	// is a strategic merge patch of a built-in kind. An entry of which everything but the name is null is absent.
	ListsByName bool `json:"byName,omitempty"`
	// Before is our paths as they were read. The write is refused when they have changed since. null means absent.
	Before map[string]any `json:"before,omitempty"`
	// After is our paths as they are to be.
	After map[string]any `json:"after"`
	// UndoTo is our paths as they are to be once the write is undone, when that is not Before.
	UndoTo map[string]any `json:"back,omitempty"`
	// SatisfiedBy is our paths as they are when there is nothing to do, besides After.
	SatisfiedBy map[string]any `json:"unless,omitempty"`
}

// Undo is the write that takes w back, and whether there is one. A created object is left: it only adds trust or a
// record. A deleted object comes back only from a copy.
func (w Write) Undo() (undo Write, ok bool) {
	undo = Write{Context: w.Context, Cluster: w.Cluster, Object: w.Object, Via: w.Via}
	switch {
	case w.Op == OpCreate, w.Op == OpDelete && w.BackupAs == "":
		return Write{}, false
	case w.Op == OpDelete:
		undo.Object.UID, undo.Object.ResourceVersion = "", "" // another object by the same name
		undo.Op, undo.RestoreFrom = OpCreate, w.BackupAs
		return undo, true
	case w.BackupAs != "":
		undo.RestoreFrom = w.BackupAs
		return undo, true
	}
	undo.ListsByName, undo.Before, undo.After, undo.SatisfiedBy = w.ListsByName, w.After, w.UndoTo, w.Before
	if undo.After == nil {
		undo.After = w.Before
	}
	return undo, true
}

// fields are those of a Write, without its methods.
type fields Write

// wireWrite is a Write as journals and saved plans have it. Its keys never change: an interrupted run of an earlier
// release may have left one.
type wireWrite struct {
	fields
	Status  bool `json:"status,omitempty"`
	Create  bool `json:"create,omitempty"`
	Delete  bool `json:"delete,omitempty"`
	Restart bool `json:"restart,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (w Write) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireWrite{fields: fields(w), Status: w.Op == OpUpdateStatus, Create: w.Op == OpCreate,
		Delete: w.Op == OpDelete, Restart: w.Op == OpRestart})
}

// UnmarshalJSON implements json.Unmarshaler. It refuses a write that names two operations.
func (w *Write) UnmarshalJSON(text []byte) error {
	var wire wireWrite
	if err := json.Unmarshal(text, &wire); err != nil {
		return err
	}
	named := 0
	for _, is := range []struct {
		set bool
		op  Op
	}{{wire.Status, OpUpdateStatus}, {wire.Create, OpCreate}, {wire.Delete, OpDelete}, {wire.Restart, OpRestart}} {
		if is.set {
			wire.Op = is.op
			named++
		}
	}
	if named > 1 {
		return fmt.Errorf("decoding a write to %s: it names %d operations", wire.Object, named)
	}
	*w = Write(wire.fields)
	return nil
}
