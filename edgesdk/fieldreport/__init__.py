"""What an owner of a board sends back: one file of facts, without what is private.

Nothing is sent anywhere: the file is written to disk, and its README says what is in it.
"""

from edgesdk.fieldreport.collect import ReportRequest, collect
from edgesdk.fieldreport.pack import pack
from edgesdk.fieldreport.part import Part

__all__ = ["Part", "ReportRequest", "collect", "pack"]
