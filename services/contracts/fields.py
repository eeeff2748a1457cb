"""Types of the fields of events, with the values that they allow."""

from datetime import UTC, datetime
from typing import Annotated, TypeAlias

from pydantic import AwareDatetime, Field

# Ids go into Milvus filter expressions, file names and Kafka keys: no quotes, no slashes, no spaces.
Identifier: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
Seconds: TypeAlias = Annotated[float, Field(ge=0)]
Similarity: TypeAlias = Annotated[float, Field(ge=-1.001, le=1.001)]  # rounding of unit vectors in float32
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Count: TypeAlias = Annotated[int, Field(ge=0, lt=2**31)]  # an index stores them in 64 bits, so sums fit too
# A wider range would not survive the conversion to seconds since the epoch and to another time zone.
Moment: TypeAlias = Annotated[
    AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(3001, 1, 1, tzinfo=UTC))
]
# Narrower than what follows from them: the number of segments is an index plus one, and seconds may be rounded up.
UploadedIndex: TypeAlias = Annotated[int, Field(ge=0, lt=2**31 - 1)]
# Orders the uploads of an asset (services.contracts.generations). 0 in events of releases that had none.
Generation: TypeAlias = Annotated[int, Field(ge=0, lt=2**63)]
UploadedMoment: TypeAlias = Annotated[Moment, Field(lt=datetime(3000, 1, 1, tzinfo=UTC))]

MAX_UPLOADED_SEGMENT_S = 120.0  # of a segment file of a longer upload
# A start beyond a week is a time of day, not a position in a video.
MAX_START_S = 7 * 24 * 3600.0
