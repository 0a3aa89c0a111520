"""The face recognition page: first sight, consent, enrolment, who is who, persons, 1:K, and what cannot be used."""

import time

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.faces import tasks
from core.faces.gallery import Gallery
from core.faces.gallery_exchange import export_gallery
from core.faces.gallery_photo import encoder_key
from core.faces.gallery_store import GalleryStore
from core.faces.gallery_types import GalleryError, GalleryUnavailable
from core.faces.one_to_many import one_to_many
from core.faces.types import EncodedFace, Face
from core.runtime.samples import load_sample
from pages.parts.faces import answers
from pages.parts.gallery import access
from tests.core.faces.made_faces import encoding_of, made_face

PAGE = "face_recognition"
# Which person stands on which photo of a sample, in place of the networks' answer.
ON_PHOTO = {"astronaut": [(1, 0)], "camera": [(1, 1)], "rocket": [(2, 0)], "coffee": [(n, 0) for n in range(10, 40)]}


def made_faces(image: np.ndarray, encoder: str = "dlib", detector: str = "mtcnn") -> tasks.FacesOfPicture:
    sample = next((name for name in ON_PHOTO if np.array_equal(load_sample(name), image)), "")
    faces = []
    for index, (person, photo) in enumerate(ON_PHOTO.get(sample, [])):
        left, top = 10 + 40 * (index % 8), 10 + 50 * (index // 8)
        points = np.array([[8, 10], [22, 10], [15, 18], [10, 26], [20, 26]], np.float32) + [left, top]
        face = Face(np.array([left, top, left + 30, top + 36], np.float32), points.astype(np.float32), 0.99)
        aligned = np.zeros((150, 150, 3), np.uint8)
        faces.append(EncodedFace(face, aligned, encoding_of(person, photo), encoder))
    return tasks.FacesOfPicture(tuple(faces), 120.0, 30.0)


@pytest.fixture(autouse=True)
def networks(monkeypatch):
    made_faces.__module__, made_faces.__qualname__ = tasks.__name__, "faces_of_picture"
    monkeypatch.setattr(tasks, "faces_of_picture", made_faces)
    answers._answer.clear()
    yield
    answers._answer.clear()


@pytest.fixture
def gallery(tmp_path, monkeypatch):
    """The gallery that the page shows: of this test alone."""
    store = GalleryStore(f"sqlite:///{tmp_path / 'gallery.sqlite3'}")
    monkeypatch.setattr(access, "open_store", lambda: store)
    yield Gallery(store)
    store.close()


@pytest.fixture
def agreed(gallery):
    gallery.give_consent("ada@desk")
    return gallery


def texts(app: AppTest) -> str:
    kinds = (app.markdown, app.caption, app.info, app.success, app.warning, app.error)
    return "\n".join(element.value for kind in kinds for element in kind).replace("\\", "").replace("\u2060", "")


def keys(app: AppTest) -> set[str]:
    return {button.key for button in app.button}


def run(app: AppTest) -> AppTest:
    assert not app.exception, [problem.value for problem in app.exception]
    return app


def enrol(app: AppTest, name: str) -> AppTest:
    app.text_input(key="gallery_name").set_value(name).run()
    return run(app.button(key="gallery_enrol_button").click().run())


class TestFirstSight:
    def test_a_face_is_found_and_nobody_is_known(self, open_page, gallery):
        app = open_page(PAGE)
        said = texts(app)
        assert "1 face, not recognized" in said and "nobody is enrolled yet" in said
        assert "Found by MTCNN in 120 ms, encoded by **dlib ResNet** in 30 ms: 128 numbers a face." in said
        assert "Before the first face is stored" in said and "enrol only persons who agreed" in said
        assert str(gallery.store.file) in said and "Nothing leaves this machine" in said
        assert "Nobody agreed yet, so nothing is stored" in said
        assert "gallery_agree" in keys(app) and not keys(app) & {"gallery_demonstration", "gallery_enrol_button"}
        assert gallery.changes() == 0 and not app.error

    def test_two_clicks_recognize_the_sample_person(self, open_page, gallery):
        app = open_page(PAGE)
        run(app.button(key="gallery_agree").click().run())
        assert gallery.consent() is not None and "Noted: faces may be stored now" in texts(app)
        run(app.button(key="gallery_demonstration").click().run())
        said = texts(app)
        assert "**Astronaut (demo)**, at a distance of 0.000 ≤ τ" in said and "of 1 person" in said
        assert app.dataframe[0].value["Who"].tolist() == ["Astronaut (demo)"]
        assert "The nearest of face 1" in said and "exact search" in said
        assert "gallery_demonstration" not in keys(app)
        (person,) = gallery.persons()
        assert person.is_demonstration and person.encoders == (encoder_key("dlib"),)
        assert gallery.photos(person.id)[0].source == "astronaut"

    def test_a_link_opens_a_view(self, open_page, gallery):
        app = open_page(PAGE, gallery_view="1:1 and 1:K", gallery_many_k="100")
        assert app.select_slider(key="gallery_many_k").value == 100


class TestRecognition:
    def test_another_photo_of_the_same_person(self, open_page, agreed):
        app = enrol(open_page(PAGE), "Ada")
        app.selectbox(key="gallery_image").set_value("camera").run()
        distance = float(np.linalg.norm(encoding_of(1, 1) - encoding_of(1)))
        assert f"**Ada**, at a distance of {distance:.3f} ≤ τ" in texts(run(app))
        app.slider(key="gallery_tau_dlib").set_value(0.1).run()
        assert f"**Not recognized**: the nearest of 1 person is at {distance:.3f} > τ = 0.10." in texts(run(app))
        assert app.dataframe[0].value["Who"].tolist() == ["not recognized"]

    def test_thirty_faces_one_of_whom_is_known(self, open_page, agreed):
        agreed.enrol("Grace", made_face(15, 0, encoder_key("dlib")), by="ada")
        app = open_page(PAGE, gallery_image="Coffee cup")
        assert "**1 of 30 faces recognized** among 1 person." in texts(app)
        table = app.dataframe[0].value
        assert len(table) == 30 and table["Who"].tolist()[5] == "Grace"
        app.number_input(key="gallery_face").set_value(7).run()
        enrol(app, "Seventh")
        assert {person.name for person in agreed.persons()} == {"Grace", "Seventh"}
        assert app.dataframe[0].value["Who"].tolist()[6] == "Seventh"
        app.selectbox(key="gallery_image").set_value("astronaut").run()  # fewer faces than the chosen number
        assert "Not recognized" in texts(run(app))

    def test_no_face(self, open_page, agreed):
        app = open_page(PAGE, gallery_image="Chelsea the cat")
        assert "No face was found in this photograph" in texts(app)
        assert not keys(app) & {"gallery_demonstration", "gallery_enrol_button"}

    def test_formulas_hold_the_numbers_of_the_face(self, open_page, agreed):
        app = enrol(open_page(PAGE), "Ada")
        app.selectbox(key="gallery_image").set_value("camera").run()
        assert not app.latex and not app.code
        app.session_state["gallery_formula"] = True
        app.session_state["gallery_code"] = True
        run(app.run())
        formulas = "\n".join(latex.value for latex in app.latex)
        distance = float(np.linalg.norm(encoding_of(1, 1) - encoding_of(1)))
        assert f"= {distance:.4f}" in formulas and r"\Rightarrow\; \text{recognized}" in formulas
        assert "nearest = np.argsort(distances)[:1]" in app.code[0].value
        assert "# (1, 128), an encoding a row" in app.code[0].value

    def test_encodings_of_another_encoder_do_not_count(self, open_page, agreed):
        agreed.enrol("Ada", made_face(1, 0, "sface:123"), by="ada")
        said = texts(open_page(PAGE))
        assert "1 person enrolled, but without an encoding by dlib ResNet yet" in said
        assert "are never compared" in said


class TestEnrolment:
    def test_the_same_photo_twice(self, open_page, agreed):
        app = enrol(open_page(PAGE), "Ada")
        assert "“Ada” is enrolled, from one photo: that is one-shot learning." in texts(app)
        enrol(app, "Somebody else")
        assert app.error[0].value.replace("\\", "").startswith("This very photo is enrolled as “Ada” already")
        assert agreed.count() == 1

    def test_another_photo_of_a_person(self, open_page, agreed):
        app = enrol(open_page(PAGE), "Ada")
        app.selectbox(key="gallery_image").set_value("camera").run()
        assert "perhaps another photo of the same person?" in texts(app)
        app.segmented_control(key="gallery_way").set_value("more").run()
        run(app.button(key="gallery_add_photo").click().run())
        assert "One more photo of “Ada”." in texts(app)
        assert agreed.persons()[0].photo_count == 2

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ("", "A person needs a name"),
            ("A" * 10_000, "A name has at most 200 characters; this one has 10,000."),
            ("ada\x00", "no control characters"),
        ],
    )
    def test_what_cannot_be_a_name(self, open_page, agreed, name, sentence):
        app = enrol(open_page(PAGE), name)
        assert sentence in app.error[0].value.replace("\\", "") and agreed.count() == 0

    @pytest.mark.parametrize(
        "name",
        [
            "<script>alert(1)</script>",
            "**bold** _x_ `code` $x^2$ :red[colour] :smile: [link](https://example.org)",
            'O\'Neil "the" 👩‍🚀 李小龙',
        ],
    )
    def test_odd_names_are_shown_as_text(self, open_page, agreed, name):
        app = enrol(open_page(PAGE), name)
        assert agreed.persons()[0].name == name and not app.error
        assert app.dataframe[0].value["Who"].tolist() == [name]
        for element in (*app.success, *app.caption, *app.markdown):
            assert "<script" not in element.value.replace("\\<", "")
            assert ":smile:" not in element.value and " **bold" not in element.value
        run(app.segmented_control(key="gallery_view").set_value("persons").run())
        assert app.dataframe[0].value["Name"].tolist() == [name]

    def test_a_callback_that_runs_twice_enrols_once(self, agreed, monkeypatch):
        monkeypatch.setattr(access.st, "session_state", {})

        def action() -> int:
            return agreed.enrol("Ada", made_face(1), by="ada")

        assert access.change(agreed, "enrol Ada", 1, action, "done") and access.change(
            agreed, "enrol Ada", 1, action, "done"
        )
        assert access.st.session_state[access.SAID][:2] == ("success", "done")
        assert not access.change(agreed, "enrol Ada", 2, action, "done")  # a click on what is drawn now
        assert access.st.session_state[access.SAID][0] == "error"


class TestPersons:
    @pytest.fixture
    def ada(self, agreed):
        person_id = agreed.enrol("Ada", made_face(1, 0, encoder_key("dlib"), source="ada.jpg"), by="ada@desk")
        agreed.add_photo(person_id, made_face(1, 1, encoder_key("dlib")), by="bob@desk")
        return agreed.person(person_id)

    @pytest.fixture
    def app(self, open_page, ada):
        return open_page(PAGE, gallery_view="Persons")

    def test_who_enrolled_what_and_when(self, app, ada):
        table = app.dataframe[0].value
        assert table["Name"].tolist() == ["Ada"] and table["Photos"].tolist() == [2]
        assert table["Enrolled by"].tolist() == ["ada@desk"]
        said = texts(app)
        assert f"Enrolled by ada@desk on {ada.enrolled_at:%Y-%m-%d %H:%M} UTC · changed last by bob@desk" in said
        assert "From ada.jpg, enrolled by ada@desk on" in said and "encoded by dlib" in said
        assert "ada@desk agreed on" in said

    def test_rename(self, app, agreed, ada):
        app.text_input(key=f"gallery_rename_{ada.id}_2").set_value("Ada King").run()
        run(app.button(key="gallery_rename").click().run())
        assert "“Ada” is now called “Ada King”." in texts(app) and agreed.person(ada.id).name == "Ada King"

    def test_a_change_by_somebody_else_is_not_overwritten(self, app, agreed, ada):
        app.text_input(key=f"gallery_rename_{ada.id}_2").set_value("Ada King").run()
        agreed.rename(ada.id, "Augusta", version=2, by="eve@elsewhere")
        run(app.button(key="gallery_rename").click().run())
        assert "“Augusta” was changed by eve@elsewhere at" in texts(app) and "Nothing of yours was saved" in texts(app)
        assert agreed.person(ada.id).name == "Augusta"
        assert app.text_input(key=f"gallery_rename_{ada.id}_3").value == "Augusta"

    def test_delete(self, app, agreed, ada):
        run(app.button(key="gallery_delete").click().run())
        assert "“Ada” is deleted: rows, pictures and encodings are gone, the bytes on the disk" in texts(app)
        assert agreed.count() == 0 and "Nobody is enrolled yet" in texts(app)

    def test_delete_a_photo(self, app, agreed, ada):
        first = agreed.photos(ada.id)[0]
        run(app.button(key=f"gallery_delete_photo_{first.id}").click().run())
        assert [photo.id for photo in agreed.photos(ada.id)] != [first.id] and agreed.person(ada.id).photo_count == 1
        assert "A photo of “Ada” is deleted" in texts(app)

    def test_take_the_consent_back(self, app, agreed):
        run(app.button(key="gallery_forget").click().run())
        assert agreed.consent() is None and agreed.count() == 0
        assert "The whole gallery is deleted" in texts(app) and "gallery_agree" in keys(app)

    def test_who_was_deleted_elsewhere(self, app, agreed, ada):
        agreed.delete(ada.id, version=2)
        run(app.button(key="gallery_delete").click().run())
        assert "not in the gallery any more" in texts(app)

    def test_search_by_name(self, open_page, agreed, ada):
        for number in range(12):
            agreed.enrol(f"Person {number}", made_face(100 + number, 0, encoder_key("dlib")), by="ada")
        app = open_page(PAGE, gallery_view="Persons")
        app.text_input(key="gallery_containing").set_value("SON 1").run()
        assert run(app).dataframe[0].value["Name"].tolist() == ["Person 1", "Person 10", "Person 11"]
        app.text_input(key="gallery_containing").set_value("nobody").run()
        assert "No name contains this." in texts(run(app))

    def test_take_along_and_bring_in(self, app, agreed, ada):
        data = export_gallery(agreed)
        agreed.delete(ada.id, version=2)
        app.file_uploader(key="gallery_import_file").set_value(("gallery.zip", data, "application/zip")).run()
        run(app.button(key="gallery_import").click().run())
        assert "Brought in: 1 person and 2 photos that are new." in texts(app)
        assert [(person.name, person.photo_count) for person in agreed.persons()] == [("Ada", 2)]

    def test_a_file_that_is_no_gallery(self, app, agreed):
        app.file_uploader(key="gallery_import_file").set_value(("x.json", b'{"format": "<b>"}', "text/json")).run()
        run(app.button(key="gallery_import").click().run())
        assert "This file is no exported gallery" in texts(app) and agreed.count() == 1


class TestOwners:
    def test_who_signs_in_has_a_gallery_alone(self, open_page, agreed, monkeypatch):
        agreed.enrol("Ada", made_face(1, 0, encoder_key("dlib")), by="ada")
        monkeypatch.setattr(access, "owner", lambda: "user:bob@example.org")
        app = open_page(PAGE)
        assert "nobody is enrolled yet" in texts(app) and "seen by you alone (bob@example.org)" in texts(app)
        run(app.button(key="gallery_agree").click().run())
        enrol(app, "Bob")
        assert [person.name for person in agreed.persons()] == ["Ada"]
        assert [person.name for person in Gallery(agreed.store, "user:bob@example.org").persons()] == ["Bob"]


class TestOneToMany:
    def test_the_numbers_are_those_of_the_formula(self, open_page, gallery, monkeypatch):
        from pages.parts.gallery import one_to_many as view

        monkeypatch.setattr(view, "measured", lambda name: None)
        app = open_page(PAGE, gallery_view="1:1 and 1:K", gallery_many_k="1,000")
        app.number_input(key="gallery_many_far").set_value(0.05).run()
        expected = one_to_many(0.0005, 1000)
        values = [metric.value for metric in run(app).metric]
        assert values == [
            "0.05 %",
            f"{100 * expected.false_match:.3g} %",
            f"{100 * expected.needed_false_accept:.2g} %",
        ]
        assert f"may hold **{int(expected.most_comparisons):,}** persons" in texts(app)
        formulas = "\n".join(latex.value for latex in app.latex).replace("{,}", ",")
        assert "(1 - 0.0005)^{1,000}" in formulas and f"{expected.false_match:.3g}" in formulas

    def test_with_measured_pairs(self, open_page, gallery, monkeypatch):
        from core.faces.encoders import Measured
        from core.faces.verification import PairDistances
        from pages.parts.gallery import one_to_many as view

        rng = np.random.default_rng(0)
        pairs = PairDistances(np.sort(rng.normal(0.4, 0.08, 3000)), np.sort(rng.normal(0.85, 0.08, 3000)))
        monkeypatch.setattr(view, "measured", lambda name: Measured(pairs, 0.62, 0.99, "3,000 made pairs"))
        app = open_page(PAGE, gallery_view="1:1 and 1:K", gallery_many_k="5")
        app.slider(key="gallery_many_tau_dlib").set_value(0.7).run()
        assert app.metric[0].value == f"{100 * pairs.at(0.7).false_accept:.2f} %"
        assert "reaches the rate that is needed" in texts(run(app)) and "Measured on 3,000 made pairs" in texts(app)
        app.select_slider(key="gallery_many_k").set_value(1_000_000).run()
        assert "is under one in 3,000 pairs: too few to tell" in texts(run(app))


def test_a_database_that_cannot_be_used_is_said(open_page, monkeypatch):
    def fail():
        raise GalleryUnavailable("The gallery in the file /x_y cannot be used: disk *full*.")

    monkeypatch.setattr(access, "open_store", fail)
    app = open_page(PAGE)
    assert "cannot be used: disk *full*." in texts(app) and app.segmented_control(key="gallery_view").value


def test_a_change_that_fails_is_said(agreed, monkeypatch):
    monkeypatch.setattr(access.st, "session_state", {})

    def fail() -> None:
        raise GalleryError("That <b>does</b> not work.")

    assert not access.change(agreed, "x", 0, fail, "done")
    assert access.st.session_state[access.SAID][1] == r"That \<b\>does\<\/b\> not work\."


def test_other_encoders_are_caught_up_on_in_a_job(open_page, agreed, monkeypatch):
    from core.faces import gallery_tasks

    agreed.enrol("Ada", made_face(1, 0, "sface:123"), by="ada")

    def encode_photos(photo_ids, jpegs, points, encoder, report=None):
        assert encoder == "dlib" and all(jpeg.startswith(b"\xff\xd8") for jpeg in jpegs)
        return gallery_tasks.PhotoEncodings(encoder_key(encoder), {photo_ids[0]: encoding_of(1)})

    encode_photos.__module__, encode_photos.__qualname__ = gallery_tasks.__name__, "encode_photos"
    monkeypatch.setattr(gallery_tasks, "encode_photos", encode_photos)
    from pages.parts.gallery import other_encoder

    monkeypatch.setattr(other_encoder, "encode_photos", encode_photos)
    app = open_page(PAGE)
    run(app.button(key="gallery_encode_dlib_start").click().run())
    until = time.monotonic() + 60
    while agreed.count(encoder_key("dlib")) == 0:
        assert time.monotonic() < until
        time.sleep(0.1)
        run(app.run())
    run(app.run())
    assert "**Ada**, at a distance of 0.000" in texts(app) and "are never compared" not in texts(app)
