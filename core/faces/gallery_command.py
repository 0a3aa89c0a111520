"""The gallery without the app.

    python -m core.faces.gallery list [--json]
    python -m core.faces.gallery enrol PHOTO_OR_FOLDER... [--name NAME] [--encoder dlib] [--consent]
    python -m core.faces.gallery search PHOTO... [--encoder dlib] [--tau T] [--nearest 3] [--json OUT.json]
    python -m core.faces.gallery rename ID NAME
    python -m core.faces.gallery delete ID...
    python -m core.faces.gallery export FILE.zip|FILE.json
    python -m core.faces.gallery import FILE
    python -m core.faces.gallery vacuum

Each photo is enrolled under the name that is given, or under that of its file; in a folder of folders, under that of
its folder, so that a person may have several photos. `--consent` says that the persons agreed; it is asked for once.
`--owner user:NAME` takes the gallery of somebody who signs in to the app.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from core.faces.encode import picture_files
from core.faces.encoders import describe, encoders
from core.faces.gallery import LOCAL, Gallery, local_person
from core.faces.gallery_exchange import export_gallery, import_gallery
from core.faces.gallery_photo import encoder_key, new_face
from core.faces.gallery_search import search_of
from core.faces.gallery_store import open_store
from core.faces.gallery_types import AlreadyEnrolled, GalleryError
from core.faces.types import EncodedFace, FaceError, Pixels
from core.runtime.images import ImageError, decode_image
from core.runtime.settings import SettingsError
from core.runtime.weights import WeightsError

LONGEST_SIDE_PX = 2048


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line: 0 if all was done, 1 if some photos were passed over, 2 with one sentence if not."""
    args = _parser().parse_args(arguments)
    try:
        gallery = Gallery(open_store(), args.owner)
        done: int = args.run(gallery, args)
    except (FaceError, WeightsError, SettingsError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return done


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core.faces.gallery", description="the gallery of persons")
    parser.add_argument("--owner", default=LOCAL, help="whose gallery: local, or user:NAME")
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    listing = _action(actions, "list", _list, "who is enrolled, by whom and when")
    listing.add_argument("--json", action="store_true", help="as JSON")

    enrol = _action(actions, "enrol", _enrol, "enrol the face of each photo")
    enrol.add_argument("photos", type=Path, nargs="+", metavar="PHOTO_OR_FOLDER")
    enrol.add_argument("--name", help="the person on all of these photos; else the file's or folder's name")
    enrol.add_argument("--encoder", choices=tuple(encoders()), default="dlib")
    enrol.add_argument("--consent", action="store_true", help="the persons agreed that their faces are stored")

    search = _action(actions, "search", _search, "who is on a photo")
    search.add_argument("photos", type=Path, nargs="+", metavar="PHOTO_OR_FOLDER")
    search.add_argument("--encoder", choices=tuple(encoders()), default="dlib")
    search.add_argument("--tau", type=float, help="the largest distance of a person who is recognized")
    search.add_argument("--nearest", type=int, default=3, help="how many of the nearest are told")
    search.add_argument("--json", type=Path, metavar="OUT.json")

    rename = _action(actions, "rename", _rename, "give a person another name")
    rename.add_argument("id", type=int)
    rename.add_argument("name")

    remove = _action(actions, "delete", _delete, "delete persons with all photos and encodings")
    remove.add_argument("ids", type=int, nargs="+", metavar="ID")

    _action(actions, "export", _export, "write the gallery to a file").add_argument("file", type=Path)
    _action(actions, "import", _import, "read a gallery from a file").add_argument("file", type=Path)
    _action(actions, "vacuum", _vacuum, "write the database anew without what was deleted")
    return parser


def _action(actions: Any, name: str, run: Any, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=summary, description=summary)
    parser.set_defaults(run=run)
    return parser


def _list(gallery: Gallery, args: argparse.Namespace) -> int:
    rows = [
        {
            "id": person.id,
            "name": person.name,
            "photos": person.photo_count,
            "encoders": list(person.encoders),
            "enrolled_by": person.enrolled_by,
            "enrolled_at": person.enrolled_at.isoformat(timespec="seconds"),
            "demonstration": person.is_demonstration,
        }
        for person in gallery.persons(limit=max(1, gallery.count()))
    ]
    if args.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    for row in rows:
        photos = "1 photo" if row["photos"] == 1 else f"{row['photos']} photos"
        print(f"{row['id']:>6}  {row['name']}  ({photos}, by {row['enrolled_by']}, {row['enrolled_at']})")
    print(f"{len(rows)} persons in {gallery.store.place()}", file=sys.stderr)
    return 0


def _enrol(gallery: Gallery, args: argparse.Namespace) -> int:
    by = local_person() if gallery.owner == LOCAL else gallery.owner
    if gallery.consent() is None:
        if not args.consent:
            raise GalleryError(
                "Faces are biometric data: say with --consent that the persons agreed to be stored in "
                f"{gallery.store.place()}."
            )
        gallery.give_consent(by)
    passed_over = 0
    for path, name in _photos(args.photos):
        parent = "" if name == str(path) else Path(name).parent.name  # of a folder in the folder that was given
        person = args.name or parent or path.stem
        try:
            pixels, faces = _faces(path, args.encoder)
            if len(faces) != 1:
                found = "no face" if not faces else f"{len(faces)} faces"
                raise GalleryError(f"{found} found; a photo to enrol shows one.")
            face = new_face(pixels, faces[0], path.name)
            known = gallery.named(person)
            if known is None:
                gallery.enrol(person, face, by=by)
            else:
                gallery.add_photo(known.id, face, by=by)
            print(f"{name}: {person}")
        except AlreadyEnrolled as error:
            print(f"{name}: {error}", file=sys.stderr)
        except (FaceError, ImageError) as error:
            passed_over += 1
            print(f"{name}: {error}", file=sys.stderr)
    return 1 if passed_over else 0


def _search(gallery: Gallery, args: argparse.Namespace) -> int:
    tau = describe(args.encoder).threshold if args.tau is None else args.tau
    search = search_of(gallery, encoder_key(args.encoder))
    rows: list[dict[str, Any]] = []
    passed_over = 0
    for path, name in _photos(args.photos):
        try:
            _, faces = _faces(path, args.encoder)
        except (FaceError, ImageError) as error:
            passed_over += 1
            print(f"{name}: {error}", file=sys.stderr)
            continue
        if not faces:
            print(f"{name}: no face found", file=sys.stderr)
        matches = search.search([face.encoding for face in faces], max(1, args.nearest)) if faces else ()
        for number, (face, nearest) in enumerate(zip(faces, matches, strict=True), 1):
            who = nearest[0] if nearest and nearest[0].distance <= tau else None
            told = ", ".join(f"{match.name} {match.distance:.3f}" for match in nearest)
            print(f"{name}, face {number}: {who.name if who else 'not recognized'} (nearest: {told or 'nobody'})")
            rows.append(
                {
                    "file_name": name,
                    "face": number,
                    "box_xyxy": [round(float(value), 1) for value in face.face.box_xyxy],
                    "person_id": who.person_id if who else None,
                    "name": who.name if who else None,
                    "nearest": [
                        {"person_id": match.person_id, "name": match.name, "distance": round(match.distance, 5)}
                        for match in nearest
                    ],
                }
            )
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")
    return 1 if passed_over else 0


def _rename(gallery: Gallery, args: argparse.Namespace) -> int:
    by = local_person() if gallery.owner == LOCAL else gallery.owner
    gallery.rename(args.id, args.name, version=gallery.person(args.id).version, by=by)
    return 0


def _delete(gallery: Gallery, args: argparse.Namespace) -> int:
    for person_id in args.ids:
        person = gallery.person(person_id)
        is_overwritten = gallery.delete(person_id, version=person.version)
        rest = "" if is_overwritten else "; run vacuum to overwrite the bytes on the disk"
        print(f"{person.name} is deleted{rest}")
    return 0


def _export(gallery: Gallery, args: argparse.Namespace) -> int:
    content = export_gallery(gallery, "json" if args.file.suffix.lower() == ".json" else "zip")
    args.file.write_bytes(content)
    args.file.chmod(0o600)
    print(f"{gallery.count():,} persons, {len(content):,} bytes: {args.file}")
    return 0


def _import(gallery: Gallery, args: argparse.Namespace) -> int:
    by = local_person() if gallery.owner == LOCAL else gallery.owner
    found = import_gallery(gallery, args.file.read_bytes(), by=by)
    print(f"{found.persons:,} new persons, {found.photos:,} new photos, {found.known_photos:,} known ones")
    return 0


def _vacuum(gallery: Gallery, args: argparse.Namespace) -> int:
    before = gallery.store.size_bytes()
    if not gallery.store.overwrite_deleted(wait_s=60.0):
        raise GalleryError("Others use the gallery all the time; try again when they do not.")
    print(f"{before:,} bytes became {gallery.store.size_bytes():,}")
    return 0


def _photos(paths: list[Path]) -> list[tuple[Path, str]]:
    files = picture_files(paths)
    if not files:
        raise FileNotFoundError("there are no pictures (JPEG, PNG, WebP, BMP, GIF) here")
    return files


def _faces(path: Path, encoder: str) -> tuple[Pixels, tuple[EncodedFace, ...]]:
    from core.faces.tasks import encode_faces

    pixels = decode_image(path.read_bytes(), max_side_px=LONGEST_SIDE_PX).pixels
    return pixels, encode_faces(pixels, encoder)
