package envelope_test

// Known answers of FORMAT.md 14.2, computed by an independent program: SHA-256 of the bytes, and the MAC itself.
const (
	sumENV1   = "dd16f3c93a72caf53ac7ff80d8fce85c4319cffc2335ea4be0316bc040585e56"
	sumENV2   = "29a97eec84fd5fcb698968cb6e3ac6d8900cf9845a1f476049537a1d702ab1d1"
	sumTOKEN1 = "21cd9662294b6b5bac1079b2be3ec9a675cb6231517f0db5b1574ad2cabbdc7e"
	macMETA1  = "e2aef3d7f417013a630bde49943da26e41933492386c7ceb724654709246a4b1"
)
