package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// typoDistance is how many edits a mistyped flag may be away from one that there is, as for commands in cobra.
const typoDistance = 2

// suggestFlag adds to the error about a flag that is not there the one that was probably meant.
func suggestFlag(cmd *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	if !errors.As(err, &missing) || missing.GetSpecifiedShortnames() != "" {
		return err
	}
	if meant := closestFlags(cmd.Flags(), missing.GetSpecifiedName()); len(meant) > 0 {
		return fmt.Errorf("%w; did you mean --%s?", err, strings.Join(meant, " or --"))
	}
	return err
}

// closestFlags are the flags whose names are closest to a mistyped one: those that begin with it, else those that are
// at most typoDistance edits away.
func closestFlags(flags *pflag.FlagSet, typed string) []string {
	typed = strings.ToLower(typed)
	begun, near := map[int][]string{}, map[int][]string{} // by distance
	flags.VisitAll(func(f *pflag.Flag) {
		switch d := distance(typed, f.Name); {
		case f.Hidden:
		case strings.HasPrefix(f.Name, typed):
			begun[d] = append(begun[d], f.Name)
		case d <= typoDistance && d < len(f.Name):
			near[d] = append(near[d], f.Name)
		}
	})
	for _, names := range []map[int][]string{begun, near} {
		if len(names) > 0 {
			return names[slices.Min(slices.Collect(maps.Keys(names)))]
		}
	}
	return nil
}

// distance is the Levenshtein distance of two texts: how many characters are to be added, removed or replaced.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
