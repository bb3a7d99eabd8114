// Package estimate says how long the waves of a plan should take, and how long at most. It adds up what is known, the
// waits that steps announce and how long such waves took before, and the limits that a run keeps. It knows no product
// and no clock, and makes up no number: what is not known stays so.
package estimate
