// Package scenario has what the tests of every deployer share: a release that the deployer installs, what is done to it, and what
// requests meet meanwhile.
package scenario
