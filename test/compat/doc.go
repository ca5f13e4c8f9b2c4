// Package compat has the program read, over a real store, every object that the published vectors hold: what a build has once
// written stays readable by all later ones (FORMAT.md 13, docs/UPGRADE.md).
package compat
