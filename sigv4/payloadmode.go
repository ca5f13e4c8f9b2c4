package sigv4

import (
	"encoding/hex"
	"strings"
)

// Values of x-amz-content-sha256.
const (
	unsignedPayload         = "UNSIGNED-PAYLOAD"
	streamingSigned         = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	streamingSignedTrailer  = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	streamingUnsigned       = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	streamingECDSA          = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
	streamingECDSATrailer   = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"
	streamingSignedEvents   = "STREAMING-AWS4-HMAC-SHA256-EVENTS"
	reasonBadPayloadMode    = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING- mode or a SHA-256 in hex"
	reasonStreamingNoHeader = "streaming payloads need an Authorization header"
)

// setPayload parses x-amz-content-sha256. Signed chunks are of the kind that signs the request: asymmetric for SigV4A.
func (v *Verified) setPayload(value string, asymmetric bool) *Error {
	switch value {
	case unsignedPayload:
		v.Payload = PayloadUnsigned
	case streamingSigned, streamingECDSA:
		v.Payload = PayloadSignedChunks
	case streamingSignedTrailer, streamingECDSATrailer:
		v.Payload = PayloadSignedChunksTrailer
	case streamingUnsigned:
		v.Payload = PayloadUnsignedChunksTrailer
	default:
		if value == streamingSignedEvents {
			return fail(codeNotImplemented, "payload mode %s is not implemented", value)
		}
		if len(value) != hex.EncodedLen(len(v.Hash)) {
			return errPayloadMode(value)
		}
		if _, err := hex.Decode(v.Hash[:], []byte(value)); err != nil {
			return errPayloadMode(value)
		}
		v.Payload = PayloadHash
	}
	if strings.HasPrefix(value, streamingECDSA) != asymmetric && (v.Payload == PayloadSignedChunks || v.Payload == PayloadSignedChunksTrailer) {
		return errPayloadMode(value)
	}
	return nil
}

func errPayloadMode(value string) *Error {
	return fail(codeInvalidArgument, reasonBadPayloadMode).
		say("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "+
			"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, "+
			"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 value.").
		argument("x-amz-content-sha256", strings.Clone(value))
}
