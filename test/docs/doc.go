// Package docs holds the pages for people to what they say: each link leads somewhere, sentences are short, and what is
// made from the programs is as they are. It must not be linked by a program.
package docs
